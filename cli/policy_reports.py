"""Folders of layers on the command line, and how their checks read."""

from collections.abc import Sequence
from pathlib import Path

import click

from mesh.decisions.checks import Check, Outcome, Report
from mesh.decisions.layers import LAYERS
from mesh.decisions.modules import Problem
from mesh.decisions.testing import TestOutcome

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)
LAYER = click.Choice(LAYERS)
LAYER_HELP = "What the modules are of: the organisation, or one domain."
INSTALL_OPA = "Put `opa` on the PATH for the whole check."
MARKS = {Outcome.PASSED: "✓ passed", Outcome.FAILED: "✗ failed", Outcome.NOT_RUN: "– not run"}


def in_folder(folder: Path, path: str) -> str:
    """A module's path as people and tools open it."""
    return (folder / path).as_posix() if path else ""


def line_of(folder: Path, problem: Problem) -> str:
    """A problem as compilers print theirs."""
    if not problem.path:
        return f"{folder.as_posix()}: {problem.message}"
    return f"{in_folder(folder, problem.path)}:{problem.line}: {problem.message}"


def report_record(folder: Path, report: Report) -> dict[str, object]:
    """A report as data."""
    return {
        "layer": report.layer,
        "passed": report.passed,
        "coverage": report.coverage,
        "checks": [_check_record(folder, check) for check in report.checks],
        "tests": test_records(folder, report.tests),
    }


def test_records(folder: Path, outcomes: Sequence[TestOutcome]) -> list[dict[str, object]]:
    """Tests as data."""
    return [
        {
            "result": "passed" if one.passed else "failed",
            "test": one.name,
            "file": in_folder(folder, one.path),
            "line": one.line,
            "failure": one.failure,
        }
        for one in outcomes
    ]


def _check_record(folder: Path, check: Check) -> dict[str, object]:
    return {
        "check": check.name,
        "result": check.outcome.value,
        "about": check.about,
        "problems": [
            {
                "file": in_folder(folder, problem.path) or None,
                "line": problem.line or None,
                "message": problem.message,
            }
            for problem in check.problems
        ],
    }
