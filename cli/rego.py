"""Rego modules of a folder on the embedded engine."""

from pathlib import Path

from cli.opa import PolicyProblem, TestResult
from mesh import errors
from mesh.decisions.modules import TEST_SUFFIX
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.decisions.testing import run_tests


def check_embedded(folder: Path) -> list[PolicyProblem]:
    """What keeps the folder's policy from loading in the embedded engine."""
    engine = RegopyEngine()
    try:
        engine.load(Policy(_modules(folder, with_tests=False)))
    except errors.PolicyInvalid as error:
        return [PolicyProblem(str(folder), None, None, error.message)]
    finally:
        engine.close()
    return []


def run_embedded(folder: Path) -> list[TestResult]:
    """How the folder's tests go on the embedded engine."""
    return [
        TestResult(
            outcome.name, "passed" if outcome.passed else f"failed: {outcome.failure}", None, None
        )
        for outcome in run_tests(Policy(_modules(folder, with_tests=True)))
    ]


def _modules(folder: Path, *, with_tests: bool) -> dict[str, str]:
    modules: dict[str, str] = {}
    for path in sorted(folder.rglob("*.rego")):
        if with_tests or not path.name.endswith(TEST_SUFFIX):
            try:
                modules[path.relative_to(folder).as_posix()] = path.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise errors.PolicyInvalid(f"{path} can't be read: {error}") from error
    if not modules:
        raise errors.PolicyInvalid(f"{folder} has no .rego modules", folder=str(folder))
    return modules
