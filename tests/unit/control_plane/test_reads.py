"""What is counted of a read."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from control_plane.audit import claims
from control_plane.audit.reads import (
    FIRST,
    MOST_COUNTED,
    UNCLASSIFIED,
    Dimension,
    IndexedRead,
    Touched,
    counted,
    parts_of,
    written,
)
from control_plane.timeline.rules import class_bits
from mesh.contracts.values import Classification
from mesh.evidence.events import EventType, UsageEvent
from mesh.v1 import audit_pb2

DIMENSIONS = audit_pb2.DESCRIPTOR.enum_types_by_name["Dimension"].values_by_name
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PUBLIC, RESTRICTED = class_bits(("public",)), class_bits(("restricted",))
STARTED = UsageEvent(
    "r1",
    "/agents/bookings/b-1",
    EventType.STARTED,
    NOW,
    1,
    "r1",
    {
        "purpose": "plan",
        "decisions": [
            {
                "product": "bookings.fares",
                "dataset": "taxes",
                "columns": [
                    {"classification": "public", "mask": "clear"},
                    {"classification": "restricted", "mask": "drop"},
                    {"classification": "secret", "mask": "clear"},
                    "odd",
                ],
            },
            {
                "product": "bookings.fares",
                "dataset": "fares",
                "columns": [{"classification": "restricted", "mask": "null"}],
            },
            {"product": "fleet.aircraft", "dataset": "aircraft"},
        ],
    },
)
COMPLETED = replace(
    STARTED, id="r1-end", type=EventType.COMPLETED, sequence=2, data={"rows": 3, "bytes": 30}
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
COLUMN = st.fixed_dictionaries({"classification": JSON, "mask": JSON}) | st.fixed_dictionaries(
    {"classification": st.sampled_from(["public", "secret"]), "mask": st.just("clear")}
)
TOUCHED = st.builds(
    Touched,
    st.sampled_from(["a.x", "a.y"]),
    st.sampled_from(["one", "two"]),
    st.frozensets(st.sampled_from([one.value for one in Classification])),
)


def indexed(*events: UsageEvent) -> IndexedRead:
    claimed = [claims.claim_of(event, "bookings") for event in events]
    (found,) = claims.reads_of(claimed, "bookings", "b-1", {})
    return found


def test_dimensions_have_the_numbers_of_the_wire() -> None:
    wire = [name.removeprefix("DIMENSION_").lower() for name in DIMENSIONS]
    assert wire == ["unspecified", *Dimension]


def test_a_read_is_indexed_by_its_own_datasets_and_what_was_not_dropped_of_them() -> None:
    events = [STARTED, COMPLETED]
    found = indexed(*events)
    assert (found.outcome, found.rows, found.bytes) == ("completed", 3, 30)
    assert [(part.product, part.dataset) for part in found.parts] == [
        ("bookings.fares", "fares"),
        ("bookings.fares", "taxes"),
    ]
    assert [part.read_classes for part in found.parts] == [FIRST | RESTRICTED, PUBLIC]
    assert found.read.classified == (("bookings.fares", "public"), ("bookings.fares", "restricted"))


@given(st.data())
def test_whatever_an_event_says_of_its_columns_is_indexed(data: st.DataObject) -> None:
    columns = data.draw(JSON | st.lists(JSON | COLUMN))
    decision = {"product": "bookings.fares", "dataset": data.draw(JSON), "columns": columns}
    event = replace(STARTED, data={"decisions": [decision, data.draw(JSON)], "bytes": columns})
    found = indexed(event)
    assert found.parts[0].product == "bookings.fares"
    assert {word for _, word in found.read.classified} <= {one.value for one in Classification}


def test_nothing_of_a_refused_read_was_read() -> None:
    refused = replace(STARTED, type=EventType.REFUSED)
    found = indexed(refused)
    assert [part.read_classes for part in found.parts] == [FIRST | UNCLASSIFIED, 0]
    assert found.read.classified == ()


def test_a_read_of_nothing_is_counted_too() -> None:
    (part,) = parts_of([])
    assert (part.product, part.product_classes) == ("", FIRST | UNCLASSIFIED)


@given(st.lists(TOUCHED, min_size=1))
def test_each_bit_is_once_in_a_read_and_once_in_each_of_its_products(
    touched: list[Touched],
) -> None:
    parts = parts_of(touched)
    assert [part.number for part in parts] == list(range(len(touched)))
    of_all = [part.read_classes for part in parts]
    assert sum(of_all) == _union(of_all)
    for product in {one.product for one in touched}:
        of_one = [part.product_classes for part in parts if part.product == product]
        assert sum(of_one) == _union(of_one)
        words = {word for one in touched if one.product == product for word in one.classifications}
        assert _union(of_one) & ~(FIRST | UNCLASSIFIED) == class_bits(words)


@pytest.mark.parametrize(("claimed", "kept"), [(-1, 0), (0, 0), (5, 5), (2**53, MOST_COUNTED)])
def test_counts_are_kept_within_what_can_be_summed(claimed: int, kept: int) -> None:
    assert counted(claimed) == kept


def test_values_of_groups_are_words() -> None:
    hours = int(NOW.timestamp()) // 3_600
    assert written(Dimension.HOUR, hours) == "2026-11-24T12:00:00Z"
    assert written(Dimension.DAY, hours // 24) == "2026-11-24"
    assert written(Dimension.CLASSIFICATION, RESTRICTED) == "restricted"
    assert written(Dimension.CLASSIFICATION, UNCLASSIFIED) == ""
    assert written(Dimension.ACTOR, "user:ana") == "user:ana"


def _union(bits: list[int]) -> int:
    found = 0
    for each in bits:
        found |= each
    return found
