"""What the gate makes of the parser's answer as a whole."""

import pytest

from domain_agent.enforcement.gate import check, confirm, load
from mesh.errors import (
    MeshError,
    StatementInvalid,
    StatementNotAllowed,
    StatementNotSelect,
    StatementTooDeep,
    StatementTooLong,
)
from tests.unit.enforcement.gate.corpus import CATALOG, pass_gate, serialize, text_of


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"error": None},
        {"error": 0, "statements": []},
        {"error": "false"},
        {"statements": []},
        {"error": True},
        {"error": True, "error_message": 5, "position": []},
        {"error": False},
        {"error": False, "statements": None},
        {"error": False, "statements": []},
        {"error": False, "statements": [None]},
        {"error": False, "statements": [[]]},
        {"error": False, "statements": [{}], "more": 1},
    ],
)
def test_answer_of_another_shape_is_refused(answer: dict[str, object]) -> None:
    with pytest.raises(MeshError) as refusal:
        check(answer, CATALOG)
    assert refusal.value.reason.startswith("statement.")


def test_parser_messages_are_not_passed_on() -> None:
    with pytest.raises(StatementInvalid) as refusal:
        pass_gate("SELECT 1 FROM hunter2 hunter2 'hunter2'")
    assert "hunter2" not in refusal.value.message
    assert "character 30" in refusal.value.message


def test_parser_depth_limit_is_too_deep() -> None:
    with pytest.raises(StatementTooDeep):
        check(
            {"error": True, "error_message": "Max expression depth limit of 1000 exceeded."},
            CATALOG,
        )


def test_load_refuses_what_is_not_a_tree() -> None:
    for text in ("", "{", "[]", "1", "null", '"x"', "nan", "\ud800"):
        with pytest.raises(StatementInvalid):
            load(text)
    with pytest.raises(StatementTooDeep):
        load("[" * 100_000)


def test_two_statements_are_not_one() -> None:
    tree = dict(serialize("SELECT 1"))
    statements = tree["statements"]
    assert isinstance(statements, list)
    with pytest.raises(StatementNotSelect):
        check({"error": False, "statements": statements * 2}, CATALOG)


def test_confirm_refuses_another_statement() -> None:
    checked = pass_gate("SELECT carrier FROM flights WHERE delay > 5")
    confirm(checked, serialize(text_of(checked.tree)), CATALOG)
    for other in (
        "SELECT carrier FROM flights WHERE delay > 6",
        "SELECT carrier FROM flights",
        "SELECT email FROM passengers",
        "DROP TABLE flights",
        "SELECT carrier FROM flights WHERE delay > 5; SELECT 1",
    ):
        with pytest.raises(StatementNotAllowed):
            confirm(checked, serialize(other), CATALOG)


def test_list_of_too_many_parts_is_refused() -> None:
    with pytest.raises(StatementTooLong):
        check({"error": False, "statements": [None] * 20_001}, CATALOG)
