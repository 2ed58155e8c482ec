"""What the audit makes of an agent's events."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.audit import claims, rules
from control_plane.timeline.rules import (
    Read,
    Sight,
    page_limit,
    page_number,
    sight_of,
)
from mesh.errors import EvidenceGap, EvidenceInvalid, RequestInvalid
from mesh.evidence.events import EventType, UsageEvent
from mesh.identity.principal import Principal, PrincipalKind
from mesh.wire.events import event_from_proto, event_to_proto

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
STARTED = UsageEvent(
    id="r1",
    source="/agents/bookings/bookings-1",
    type=EventType.STARTED,
    time=NOW,
    sequence=1,
    receipt="r1",
    data={
        "statement": "SELECT 1",
        "purpose": "crew-planning",
        "decisions": [
            {"product": "bookings.reservations", "dataset": "passengers", "agreement": "a2"},
            {"product": "bookings.fares", "dataset": "fares", "agreement": "a1"},
            {"product": "bookings.fares", "dataset": "taxes", "agreement": None},
        ],
    },
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
FIELDS = ("principal", "decisions", "purpose", "rows", "bytes", "reason", "reasons", "message")


def read_of(event: UsageEvent) -> Read:
    claim = claims.claim_of(event, "bookings")
    (found,) = claims.reads_of([claim], "bookings", "bookings-1", {event.id: "user:ana"})
    return found.read


def test_a_started_read_shows_who_what_and_why() -> None:
    read = read_of(STARTED)
    assert read.actor == "user:ana"
    assert read.products == ("bookings.fares", "bookings.reservations")
    assert read.purpose == "crew-planning"
    assert read.action == "read.started"
    assert read.summary.endswith(
        "bookings.fares.fares, bookings.fares.taxes, bookings.reservations.passengers"
    )
    assert claims.used_agreements(claims.claim_of(STARTED, "bookings"), {"a1", "a2", "a3"}) == (
        "a1",
        "a2",
    )
    assert claims.used_agreements(claims.claim_of(STARTED, "bookings"), {"a2"}) == ("a2",)


def test_a_refused_read_rests_on_no_agreement() -> None:
    refused = replace(
        STARTED,
        type=EventType.REFUSED,
        data={**STARTED.data, "reasons": ["agreement.missing"], "message": "no agreement"},
    )
    read = read_of(refused)
    assert (read.reasons, read.summary) == (("agreement.missing",), "no agreement")
    assert claims.used_agreements(claims.claim_of(refused, "bookings"), {"a1", "a2"}) == ()


def test_an_ended_read_shows_its_size_or_its_reason() -> None:
    done = replace(STARTED, type=EventType.COMPLETED, data={"rows": 1234, "bytes": 9, "x": 1})
    assert read_of(done).rows == 1234
    assert "1,234 rows" in read_of(done).summary
    left = replace(STARTED, type=EventType.ABORTED, data={"rows": 5, "reason": "client left"})
    assert "client left" in read_of(left).summary


@settings(deadline=None)
@given(
    st.sampled_from(EventType),
    st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=len(FIELDS)),
)
def test_odd_data_is_taken_as_it_comes(kind: EventType, data: dict[str, object]) -> None:
    event = replace(STARTED, type=kind, data=data)
    read = read_of(event)
    assert read.domain == "bookings"
    assert all(isinstance(text, str) for text in (*read.reasons, *read.products, read.summary))
    assert isinstance(claims.actor_of(data), str)
    claims.change_of(event, "bookings", "bookings-1")
    claim = claims.claim_of(event, "bookings")
    suspicion = claims.suspicion_of(claim, "bookings", "bookings-1", frozenset(), NOW)
    assert suspicion is None or len(suspicion.summary) < 500
    assert event_from_proto(event_to_proto(event)) == event


def test_a_batch_is_one_agents_and_has_no_gaps() -> None:
    second = replace(STARTED, id="e2", sequence=2)
    rules.check_batch([STARTED, second], "bookings", "bookings-1")
    rules.check_batch([], "bookings", "bookings-1")
    for wrong in (
        [replace(STARTED, source="/agents/bookings/bookings-2")],
        [replace(STARTED, source="/agents/fleet/bookings-1")],
        [STARTED, replace(second, sequence=3)],
        [second, STARTED],
        [STARTED, STARTED],
        [replace(STARTED, sequence=0)],
        [replace(STARTED, sequence=-1)],
        [replace(STARTED, id="")],
        [replace(STARTED, receipt="")],
    ):
        with pytest.raises(EvidenceInvalid):
            rules.check_batch(wrong, "bookings", "bookings-1")


def test_a_gap_is_told_with_where_to_go_on() -> None:
    rules.check_continues(8, 7)
    rules.check_continues(3, 7)
    with pytest.raises(EvidenceGap) as gap:
        rules.check_continues(9, 7)
    assert gap.value.metadata == {"sequence": "8"}


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        ("io.meshwarden.read.unknown.v1", b"{}"),
        ("", b"{}"),
        ("io.meshwarden.read.started.v1", b""),
        ("io.meshwarden.read.started.v1", b"[]"),
        ("io.meshwarden.read.started.v1", b"{"),
        ("io.meshwarden.read.started.v1", b"\xff"),
        ("io.meshwarden.read.started.v1", b'{"x": NaN}'),
        ("io.meshwarden.read.started.v1", b'{"x": 9007199254740993}'),
        ("io.meshwarden.read.started.v1", b"[" * 100_000),
        ("io.meshwarden.read.started.v1", b'{"a":' * 33 + b"1" + b"}" * 33),
        ("io.meshwarden.read.started.v1", b'{"a":' * 2_000 + b"1" + b"}" * 2_000),
    ],
    ids=lambda value: str(value)[:24],
)
def test_a_malformed_event_is_refused(kind: str, data: bytes) -> None:
    message = event_to_proto(STARTED)
    message.type, message.data = kind, data
    with pytest.raises(EvidenceInvalid):
        event_from_proto(message)


def test_sight_follows_from_duties() -> None:
    def sight(*duties: str) -> Sight:
        return sight_of(Principal(PrincipalKind.USER, "ana", duties=duties))

    for duty in ("admin", "security", "auditor"):
        assert sight(duty).everything
    assert sight("owner:fleet", "steward:bookings").domains == {"fleet", "bookings"}
    receipt = rules.Receipt("r", "bookings", "bookings-1", "completed", "user:bob")
    assert rules.may_see(sight("auditor"), receipt)
    assert rules.may_see(sight("steward:bookings"), receipt)
    assert not rules.may_see(sight("steward:fleet"), receipt)
    assert not rules.may_see(sight(), receipt)
    assert rules.may_see(sight(), replace(receipt, actor="user:ana"))


def test_pages_have_limits_and_tokens_of_our_own_making() -> None:
    assert (page_limit(0), page_limit(500)) == (100, 500)
    for size in (-1, 501):
        with pytest.raises(RequestInvalid):
            page_limit(size)
    assert (page_number(""), page_number("12")) == (None, 12)
    for token in ("x", "-1", "1.5", "１２", "9" * 19, "1 OR 1=1"):
        with pytest.raises(RequestInvalid):
            page_number(token)
