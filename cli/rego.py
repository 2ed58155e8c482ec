"""Rego modules of a folder on the embedded engine, and the sentences in their METADATA."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from cli.opa import PolicyProblem, TestResult
from mesh import errors
from mesh.decisions.modules import TEST_SUFFIX
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.decisions.testing import run_tests

_METADATA = re.compile(r"^# METADATA\n((?:#.*\n)+)", re.MULTILINE)


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


def sentences(texts: Iterable[str]) -> Mapping[str, str]:
    """What the rules say of themselves: METADATA's description by its title."""
    found: dict[str, str] = {}
    for text in texts:
        for block in _METADATA.finditer(text):
            stated = _yaml("\n".join(line[1:] for line in block[1].splitlines()))
            if isinstance(stated, dict) and isinstance(stated.get("description"), str):
                found[str(stated.get("title"))] = " ".join(str(stated["description"]).split())
    return found


def _yaml(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None


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
