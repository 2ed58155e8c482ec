"""Every attack is refused for its reason; every plain question is served as it was meant."""

import pytest

from domain_agent.enforcement.gate import confirm
from mesh.errors import MeshError
from tests.unit.enforcement.gate.corpus import (
    CATALOG,
    pass_gate,
    refused,
    serialize,
    served,
    text_of,
)


@pytest.mark.parametrize(("reason", "sql"), refused())
def test_attack_is_refused_with_its_reason(reason: str, sql: str) -> None:
    with pytest.raises(MeshError) as refusal:
        pass_gate(sql)
    assert refusal.value.reason == reason
    assert len(refusal.value.message) < 500


@pytest.mark.parametrize("sql", served())
def test_plain_question_is_served_and_survives_its_rewriting(sql: str) -> None:
    checked = pass_gate(sql)
    confirm(checked, serialize(text_of(checked.tree)), CATALOG)


@pytest.mark.parametrize("sql", served())
def test_evidence_of_a_served_question_is_one_select(sql: str) -> None:
    text = text_of(pass_gate(sql).redacted)
    statements = serialize(text)["statements"]
    assert isinstance(statements, list)
    assert len(statements) == 1


def test_corpora_are_large_and_without_repetition() -> None:
    attacks = [sql for _, sql in refused()]
    assert len(attacks) >= 500
    assert len(served()) >= 190
    assert len(set(attacks)) == len(attacks)
    assert len(set(served())) == len(served())
    assert not set(attacks) & set(served())
