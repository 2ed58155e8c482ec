"""Runs the `test_` rules of a policy on the embedded engine, one by one.

It can't measure coverage; OPA does that.
"""

from dataclasses import dataclass

from mesh.decisions.engines import DEADLINE
from mesh.decisions.modules import package_of, tests_in
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_process import EvaluationFailed, RegopyProcess, WorkerLost
from mesh.errors import PolicyInvalid


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
    """Every test's outcome by name. Raises PolicyInvalid when the modules do not load."""
    entrypoints = sorted(
        f"{package_of(path, text).replace('.', '/')}/{test}"
        for path, text in policy.modules.items()
        for test in tests_in(text)
    )
    if not entrypoints:
        return []
    runner = _Runner(policy, entrypoints, deadline)
    try:
        return [
            TestOutcome(entrypoint.replace("/", "."), runner.failure(entrypoint))
            for entrypoint in entrypoints
        ]
    finally:
        runner.end()


class _Runner:
    """A worker with the policy loaded, replaced when a test ends it."""

    def __init__(self, policy: Policy, entrypoints: list[str], deadline: float) -> None:
        self._policy, self._entrypoints, self._deadline = policy, entrypoints, deadline
        self._worker = self._start()

    def failure(self, entrypoint: str) -> str | None:
        """Why a test fails, or None."""
        try:
            value = self._worker.evaluate(entrypoint, b"{}")
        except EvaluationFailed as failed:
            return str(failed)
        except WorkerLost as lost:
            self._worker = self._start()
            return str(lost)
        return None if value is True else "its value is not true"

    def end(self) -> None:
        self._worker.end()

    def _start(self) -> RegopyProcess:
        worker = RegopyProcess(self._deadline)
        try:
            worker.load(self._policy.modules, self._entrypoints)
        except EvaluationFailed as failed:
            worker.end()
            raise PolicyInvalid(f"the policy does not compile: {failed}") from None
        except WorkerLost as lost:
            raise PolicyInvalid(f"the policy does not load: {lost}") from None
        return worker
