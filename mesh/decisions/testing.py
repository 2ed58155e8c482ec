"""Runs the `test_` rules of a policy on the embedded engine, one by one.

It can't measure coverage; OPA does that.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh.decisions.engines import DEADLINE
from mesh.decisions.modules import TEST_SUFFIX, package_of, tests_in
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_process import EvaluationFailed, RegopyProcess, WorkerLost
from mesh.errors import PolicyInvalid

# Building `with` takes long: each copies the rules it reaches.
_LOAD_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class TestOutcome:
    """One test by its full name; `failure` is None when it passed."""

    __test__ = False

    name: str
    failure: str | None

    @property
    def passed(self) -> bool:
        return self.failure is None


def run_tests(policy: Policy, deadline: float = DEADLINE) -> list[TestOutcome]:
    """Every test's outcome, by module. Raises PolicyInvalid when a module does not load."""
    tested = {path: text for path, text in policy.modules.items() if path.endswith(TEST_SUFFIX)}
    others = {path: text for path, text in policy.modules.items() if path not in tested}
    outcomes = []
    for path, text in sorted(tested.items()):
        package = package_of(path, text).replace(".", "/")
        entrypoints = [f"{package}/{test}" for test in tests_in(text)]
        if entrypoints:
            outcomes += _outcomes({**others, path: text}, entrypoints, deadline)
    return outcomes


def _outcomes(
    modules: Mapping[str, str], entrypoints: list[str], deadline: float
) -> list[TestOutcome]:
    runner = _Runner(modules, entrypoints, deadline)
    try:
        return [
            TestOutcome(entrypoint.replace("/", "."), runner.failure(entrypoint))
            for entrypoint in entrypoints
        ]
    finally:
        runner.end()


class _Runner:
    """A worker with the modules loaded, replaced when a test ends it."""

    def __init__(self, modules: Mapping[str, str], entrypoints: list[str], deadline: float) -> None:
        self._modules, self._entrypoints, self._deadline = modules, entrypoints, deadline
        self._worker: RegopyProcess | None = self._start()

    def failure(self, entrypoint: str) -> str | None:
        """Why a test fails, or None."""
        self._worker = self._worker or self._start()
        try:
            value = self._worker.evaluate(entrypoint, b"{}")
        except EvaluationFailed as failed:
            return str(failed)
        except WorkerLost as lost:
            self._worker = None
            return str(lost)
        return None if value is True else "its value is not true"

    def end(self) -> None:
        if self._worker is not None:
            self._worker.end()

    def _start(self) -> RegopyProcess:
        worker = RegopyProcess(self._deadline, _LOAD_SECONDS)
        try:
            worker.load(self._modules, self._entrypoints)
        except EvaluationFailed as failed:
            worker.end()
            raise PolicyInvalid(f"the policy does not compile: {failed}") from None
        except WorkerLost as lost:
            raise PolicyInvalid(f"the policy does not load: {lost}") from None
        return worker
