"""Decisions as documents: what is taken, and that anything else is refused."""

from datetime import UTC, datetime

import pytest

from mesh.decisions.documents import decision_document, denial, parse_decision
from mesh.decisions.values import Decision, MaskChoice, RowRule
from mesh.errors import PolicyError
from mesh.masks import Mask

FILTER = {"column": "origin", "op": "eq", "value": "JFK"}
DOCUMENT: dict[str, object] = {
    "allow": True,
    "reasons": [],
    "masks": {
        "c0": {"mask": "partial", "rules": ["library.classification", "library.contract"]},
        "c10": {"mask": "drop", "rules": ["domain.pii"]},
    },
    "rows": [{"rule": "library.role", "filter": FILTER}],
    "limits": {"rows": 1000},
    "valid_until": "2026-12-01T00:00:00Z",
}
DECISION = Decision(
    allow=True,
    masks={
        "c0": MaskChoice(Mask.PARTIAL, ("library.classification", "library.contract")),
        "c10": MaskChoice(Mask.DROP, ("domain.pii",)),
    },
    rows=(RowRule("library.role", FILTER),),
    limits={"rows": 1000},
    valid_until=datetime(2026, 12, 1, tzinfo=UTC),
)
DENIAL: dict[str, object] = {
    "allow": False,
    "reasons": ["agreement.expired", "organisation.residency"],
    "masks": {},
    "rows": [],
    "limits": {},
    "valid_until": None,
}


def test_a_decision_and_its_document_are_the_same_thing() -> None:
    assert parse_decision(DOCUMENT) == DECISION
    assert decision_document(DECISION) == DOCUMENT
    assert decision_document(parse_decision(DENIAL)) == DENIAL


def test_rows_come_in_one_order() -> None:
    rows = [
        {"rule": "library.role", "filter": FILTER},
        {"rule": "domain.b", "filter": FILTER},
        {"rule": "domain.b", "filter": {"not": FILTER}},
    ]
    both = [parse_decision(DOCUMENT | {"rows": order}) for order in (rows, rows[::-1])]

    assert both[0] == both[1]
    assert [row.rule for row in both[0].rows] == ["domain.b", "domain.b", "library.role"]


@pytest.mark.parametrize(
    "limits", [{}, {"rows": 1}, {"group": 2}, {"rows": 5, "group": 999_999_999}]
)
def test_limits_are_of_rows_and_of_groups(limits: dict[str, int]) -> None:
    decision = parse_decision(DOCUMENT | {"limits": limits})

    assert decision.limits == limits
    assert decision_document(decision)["limits"] == limits


def test_a_denial_has_its_reason_and_nothing_else() -> None:
    assert decision_document(denial("policy.error")) == DENIAL | {"reasons": ["policy.error"]}
    assert not Decision().allow


@pytest.mark.parametrize(
    "surprise",
    [
        {"allow": 1},
        {"allow": "true"},
        {"reasons": ["agreement.expired"]},
        {"reasons": {}},
        {"extra": 1},
        {"masks": []},
        {"masks": {"c0": {"mask": "blur", "rules": ["library.contract"]}}},
        {"masks": {"c0": {"mask": None, "rules": ["library.contract"]}}},
        {"masks": {"c0": {"mask": "null", "rules": []}}},
        {"masks": {"c0": {"mask": "null"}}},
        {"masks": {"c0": {"mask": "null", "rules": ["b.b", "a.a"]}}},
        {"masks": {"c0": {"mask": "null", "rules": ["a.a", "a.a"]}}},
        {"masks": {"email": {"mask": "null", "rules": ["a.a"]}}},
        {"rows": {}},
        {"rows": [FILTER]},
        {"rows": [{"rule": "library.role", "filter": {}}]},
        {"rows": [{"rule": "library.role", "filter": "origin = 'JFK'"}]},
        {"rows": [{"rule": "No Id", "filter": FILTER}]},
        {"limits": {"rows": 0}},
        {"limits": {"rows": True}},
        {"limits": {"rows": 1.5}},
        {"limits": {"rows": "9"}},
        {"limits": {"rows": 1_000_000_000_000}},
        {"limits": {"bytes": 9}},
        {"limits": {"group": 1}},
        {"limits": {"group": True}},
        {"limits": {"group": 2.0}},
        {"limits": {"group": "9"}},
        {"limits": {"group": 1_000_000_000}},
        {"limits": {"rows": 9, "group": None}},
        {"limits": []},
        {"valid_until": "soon"},
        {"valid_until": "2026-12-01"},
        {"valid_until": "2026-12-01T00:00:00+00:00"},
        {"valid_until": "2026-02-30T00:00:00Z"},
        {"valid_until": 1},
    ],
)
def test_a_surprise_is_refused(surprise: dict[str, object]) -> None:
    with pytest.raises(PolicyError, match="not a decision"):
        parse_decision(DOCUMENT | surprise)


@pytest.mark.parametrize("missing", sorted(DOCUMENT))
def test_every_key_is_needed(missing: str) -> None:
    with pytest.raises(PolicyError, match="keys"):
        parse_decision({key: value for key, value in DOCUMENT.items() if key != missing})


@pytest.mark.parametrize("document", [None, [], "allow", True, 1, {1: 2}])
def test_what_is_no_object_is_refused(document: object) -> None:
    with pytest.raises(PolicyError):
        parse_decision(document)


@pytest.mark.parametrize(
    "surprise",
    [
        {"reasons": []},
        {"reasons": ["b.b", "a.a"]},
        {"reasons": ["because"]},
        {"masks": DOCUMENT["masks"]},
        {"rows": DOCUMENT["rows"]},
        {"limits": DOCUMENT["limits"]},
    ],
)
def test_a_denial_grants_nothing_and_says_why(surprise: dict[str, object]) -> None:
    with pytest.raises(PolicyError):
        parse_decision(DENIAL | surprise)


def test_refusals_never_repeat_what_the_policy_returned() -> None:
    with pytest.raises(PolicyError) as raised:
        parse_decision(DOCUMENT | {"valid_until": "secret-value"})

    assert "secret-value" not in raised.value.message
