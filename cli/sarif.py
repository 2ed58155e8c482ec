"""A report as SARIF 2.1.0, which code hosts show beside the lines of a change."""

from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from urllib.parse import quote

from cli.policy_reports import in_folder
from cli.text import json_text
from mesh.decisions.checks import CHECKS, Check, Report
from mesh.decisions.modules import Problem

_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_RULES: Mapping[str, str] = {
    "size": "The layer is not too large, and its modules are UTF-8 at plain paths.",
    "rules": "The modules keep to what a layer may do.",
    "format": "The modules are written as `opa fmt` writes them.",
    "strict": "The modules compile strictly, and name fields that the input has.",
    "compile": "The embedded engine loads the library with the layer.",
    "shape": "Reads of a wide range are decided in time, and as a decision should be.",
    "tests": "There are tests, and they pass.",
    "coverage": "The tests reach the layer's own modules.",
}


def sarif(folder: Path, report: Report) -> bytes:
    """The document."""
    driver = {
        "name": "mesh policy check",
        "version": version("meshwarden"),
        "rules": [{"id": name, "shortDescription": {"text": _RULES[name]}} for name in CHECKS],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "invocations": [
            {
                "executionSuccessful": True,
                "toolExecutionNotifications": [_not_run(check) for check in report.not_run],
            }
        ],
        "results": [
            _result(folder, check, problem) for check in report.checks for problem in check.problems
        ],
    }
    document = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return (json_text(document, indent=2) + "\n").encode()


def _not_run(check: Check) -> dict[str, object]:
    return {
        "level": "warning",
        "associatedRule": {"id": check.name, "index": CHECKS.index(check.name)},
        "message": {"text": f"{check.name} was not run: {check.about}"},
    }


def _result(folder: Path, check: Check, problem: Problem) -> dict[str, object]:
    result: dict[str, object] = {
        "ruleId": check.name,
        "ruleIndex": CHECKS.index(check.name),
        "level": "error",
        "message": {"text": problem.message},
    }
    if problem.path:
        artifact = {"uri": _uri(folder, problem.path)}
        place = {"artifactLocation": artifact, "region": {"startLine": max(problem.line, 1)}}
        result["locations"] = [{"physicalLocation": place}]
    return result


def _uri(folder: Path, path: str) -> str:
    """Relative to where the command runs, which is the checkout's root; else of the file."""
    named = Path(in_folder(folder, path))
    return named.as_uri() if named.is_absolute() else quote(named.as_posix())
