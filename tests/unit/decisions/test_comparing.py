"""What shows more is a gain, what shows less a loss, and nothing else is told."""

from hypothesis import given
from hypothesis import strategies as st

from mesh.decisions.comparing import Kind, differences
from mesh.decisions.values import Decision, MaskChoice, RowRule
from mesh.masks import Mask, strictness

DOCUMENT = {"dataset": {"classes": [{"id": "c0"}, {"id": "c1"}]}}
FILTERS = [{"column": "a", "op": "eq", "value": number} for number in range(3)]


def allowed(
    masks: tuple[Mask, Mask] = (Mask.CLEAR, Mask.NULL),
    filters: frozenset[int] = frozenset(),
    limits: dict[str, int] | None = None,
) -> Decision:
    return Decision(
        allow=True,
        masks={f"c{n}": MaskChoice(mask, ("library.x",)) for n, mask in enumerate(masks)},
        rows=tuple(RowRule(f"organisation.f{n}", FILTERS[n]) for n in sorted(filters)),
        limits=limits or {},
    )


REFUSED = Decision(allow=False, reasons=("agreement.missing",))
MASKS = st.tuples(st.sampled_from(Mask), st.sampled_from(Mask))
CHOSEN = st.frozensets(st.integers(0, 2))
LIMITS = st.fixed_dictionaries({}, optional={"rows": st.integers(1, 3), "group": st.integers(2, 4)})
DECISIONS = st.just(REFUSED) | st.builds(allowed, MASKS, CHOSEN, LIMITS)


def kinds(before: Decision, after: Decision) -> set[tuple[Kind, str]]:
    return {(one.kind, one.class_id) for one in differences(DOCUMENT, before, after)}


@given(DECISIONS)
def test_a_decision_does_not_differ_from_itself(decision: Decision) -> None:
    assert kinds(decision, decision) == set()


@given(DECISIONS, DECISIONS)
def test_what_one_way_gains_the_other_way_loses(one: Decision, other: Decision) -> None:
    there = {class_id for kind, class_id in kinds(one, other) if kind is Kind.COLUMN_EXPOSED}
    back = {class_id for kind, class_id in kinds(other, one) if kind is Kind.COLUMN_MASKED}
    assert there == back
    assert (Kind.ACCESS_GAINED, "") in kinds(one, other) or one.allow or not other.allow


@given(MASKS, MASKS)
def test_a_milder_mask_exposes_its_class_and_no_other(
    before: tuple[Mask, Mask], after: tuple[Mask, Mask]
) -> None:
    found = kinds(allowed(before), allowed(after))
    exposed = {f"c{n}" for n in (0, 1) if strictness(after[n]) < strictness(before[n])}
    assert {class_id for kind, class_id in found if kind is Kind.COLUMN_EXPOSED} == exposed


@given(CHOSEN, CHOSEN)
def test_a_filter_less_shows_more_rows(before: frozenset[int], after: frozenset[int]) -> None:
    found = kinds(allowed(filters=before), allowed(filters=after))
    assert ((Kind.ROWS_GAINED, "") in found) == bool(before - after)
    assert ((Kind.ROWS_LOST, "") in found) == bool(after - before and not before - after)


def test_limits_show_more_when_they_are_raised_or_groups_may_be_smaller() -> None:
    for before, after, kind in (
        ({"rows": 5}, {"rows": 9}, Kind.ROWS_GAINED),
        ({"rows": 5}, {}, Kind.ROWS_GAINED),
        ({}, {"rows": 5}, Kind.ROWS_LOST),
        ({"group": 10}, {"group": 5}, Kind.ROWS_GAINED),
        ({"group": 5}, {"group": 10}, Kind.ROWS_LOST),
    ):
        assert kinds(allowed(limits=before), allowed(limits=after)) == {(kind, "")}


def test_who_is_let_in_gains_every_column_that_is_shown() -> None:
    assert kinds(REFUSED, allowed((Mask.CLEAR, Mask.DROP))) == {
        (Kind.ACCESS_GAINED, ""),
        (Kind.COLUMN_EXPOSED, "c0"),
    }
    assert kinds(allowed((Mask.CLEAR, Mask.DROP)), REFUSED) == {
        (Kind.ACCESS_LOST, ""),
        (Kind.COLUMN_MASKED, "c0"),
    }
