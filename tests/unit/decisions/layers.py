"""Layers to check: one that passes everything, and ways to spoil it."""

from pathlib import Path

from mesh.decisions.checking import check_layer
from mesh.decisions.checks import DEFAULT_FLOOR, Check, Outcome, Report
from mesh.decisions.opa_program import Opa
from tests.differential.opa_server import opa_binary
from tests.unit.decisions.examples import library_policy

PROGRAM = Path(opa_binary())
OPA = Opa(PROGRAM)

HEAD = "package mesh.organisation\n\n"
RULES = 'limits contains {"rows": 9} if input.purpose == "audit"\n'
TESTS = """package mesh.organisation_test

import data.mesh.organisation

test_limit if {
	organisation.limits == {{"rows": 9}} with input.purpose as "audit"
}
"""


def modules(rules: str = "", tests: str = TESTS) -> dict[str, bytes | str]:
    """The good layer with more rules, which start at line 5."""
    more = f"\n{rules}" if rules else ""
    return {"a.rego": HEAD + RULES + more, "a_test.rego": tests}


def checked(
    pushed: dict[str, bytes | str], opa: Opa | None = OPA, floor: float = DEFAULT_FLOOR
) -> Report:
    """The report on the organisation's layer."""
    return check_layer("organisation", pushed, library_policy(), opa, floor)


def by_name(report: Report) -> dict[str, Check]:
    """The checks by their names."""
    return {check.name: check for check in report.checks}


def outcomes(report: Report, outcome: Outcome) -> list[str]:
    """The names of the checks that went so."""
    return [check.name for check in report.checks if check.outcome is outcome]
