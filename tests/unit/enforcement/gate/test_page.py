"""docs/sql.md says what the gate does."""

import re
from pathlib import Path

from domain_agent.enforcement.gate.functions import ALLOWED
from tests.unit.enforcement.gate.corpus import pass_gate

_PAGE = (Path(__file__).parents[4] / "docs" / "sql.md").read_text(encoding="utf-8")


def test_page_lists_the_allowed_functions_and_no_others() -> None:
    listed = re.findall(r"`([^`]+)`", _PAGE.split("## Functions")[1])
    assert set(listed) == ALLOWED
    assert len(listed) == len(ALLOWED)


def test_page_names_every_reason_of_a_statement() -> None:
    reasons = set(re.findall(r"`(statement\.\w+)`", _PAGE))
    assert reasons == {
        "statement.aggregates_only",
        "statement.function_not_allowed",
        "statement.invalid",
        "statement.name_ambiguous",
        "statement.name_reserved",
        "statement.name_unknown",
        "statement.not_allowed",
        "statement.not_select",
        "statement.parameters_invalid",
        "statement.too_deep",
        "statement.too_long",
    }


def test_example_of_the_page_is_served() -> None:
    example = _PAGE.split("```sql")[1].split("```")[0]
    assert pass_gate(example.replace("operations.", "ops.")).datasets
