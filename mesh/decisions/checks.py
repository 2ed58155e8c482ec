"""What was found of a layer before it is pushed: named checks, each with its problems."""

from dataclasses import dataclass
from enum import StrEnum

from mesh.decisions.modules import Problem
from mesh.decisions.testing import TestOutcome

CHECKS = ("size", "rules", "format", "strict", "compile", "shape", "tests", "coverage")
DEFAULT_FLOOR = 90


class Outcome(StrEnum):
    """How a check went. One that was not run is never one that passed."""

    PASSED = "passed"
    FAILED = "failed"
    NOT_RUN = "not_run"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: what it looked at, or why it was not run, and every problem it found."""

    name: str
    outcome: Outcome
    about: str
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True)
class Report:
    """Every check of a layer, in the order of CHECKS, and each of its tests."""

    layer: str
    checks: tuple[Check, ...]
    tests: tuple[TestOutcome, ...] = ()
    coverage: float | None = None

    @property
    def passed(self) -> bool:
        """Every check was run, and passed."""
        names = tuple(check.name for check in self.checks)
        return names == CHECKS and all(c.outcome is Outcome.PASSED for c in self.checks)

    @property
    def failed(self) -> bool:
        """A check failed."""
        return any(check.outcome is Outcome.FAILED for check in self.checks)

    @property
    def not_run(self) -> tuple[Check, ...]:
        """The checks that say nothing, as they were not run."""
        return tuple(check for check in self.checks if check.outcome is Outcome.NOT_RUN)
