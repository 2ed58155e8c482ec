"""Runs the `test_` rules of a policy on the embedded engine, one by one.

It can't measure coverage; OPA does that.
"""

import math
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from mesh.decisions.engines import DEADLINE
from mesh.decisions.modules import TEST_SUFFIX, code, package_of, tests_in
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_process import EvaluationFailed, WorkerLost
from mesh.decisions.regopy_runner import Runner


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """One test by its full name, and where it is; `failure` is None when it passed."""

    __test__ = False

    name: str
    failure: str | None
    path: str = ""
    line: int = 0

    @property
    def passed(self) -> bool:
        return self.failure is None


def run_tests(
    policy: Policy, deadline: float = DEADLINE, seconds: float = math.inf
) -> list[TestOutcome]:
    """Every test's outcome, by module. Raises PolicyInvalid when a module does not load.

    Tests that are not reached within the seconds, on the wall's clock, have failed.
    """
    tested = {path: text for path, text in policy.modules.items() if path.endswith(TEST_SUFFIX)}
    others = {path: text for path, text in policy.modules.items() if path not in tested}
    end = time.monotonic() + seconds
    outcomes: list[TestOutcome] = []
    for path, text in sorted(tested.items()):
        if tests_in(text):
            outcomes += _outcomes({**others, path: text}, path, deadline, end)
    return outcomes


def _outcomes(
    modules: Mapping[str, str], path: str, deadline: float, end: float
) -> Iterator[TestOutcome]:
    text = modules[path]
    package = package_of(path, text)
    names = tests_in(text)
    late = "the tests before it took too long"
    runner: Runner | None = None
    try:
        for name in names:
            failure: str | None = late
            if time.monotonic() < end:
                root = package.replace(".", "/")
                runner = runner or Runner(modules, [f"{root}/{one}" for one in names], deadline)
                failure = _failure(runner, f"{root}/{name}")
            yield TestOutcome(f"{package}.{name}", failure, path, _line(text, name))
    finally:
        if runner is not None:
            runner.end()


def _failure(runner: Runner, entrypoint: str) -> str | None:
    try:
        value = runner.ask(entrypoint, b"{}")
    except (EvaluationFailed, WorkerLost) as failed:
        return str(failed)
    return None if value is True else "its value is not true"


def _line(text: str, name: str) -> int:
    plain = code(text)
    found = re.search(rf"^{name}\b", plain, re.MULTILINE)
    return plain.count("\n", 0, found.start()) + 1 if found else 1
