"""Reads over real gRPC: filtered in the timeline and counted, for those who may see them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mesh.errors import RequestInvalid
from mesh.v1 import audit_pb2
from mesh.wire.times import to_timestamp
from tests.integration.test_control_plane_audit import append, event
from tests.unit.control_plane.running import Client, Plane, error_of, running
from tests.unit.control_plane.sealing import USERS, wrapped_keys

BASE = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NAMES = ("bookings/bookings-1", "fleet/fleet-1")
RESTRICTED = [
    {"column": "id", "classification": "restricted", "mask": "pseudonym"},
    {"column": "tier", "classification": "public", "mask": "clear"},
    {"column": "email", "classification": "confidential", "mask": "drop"},
]
PUBLIC = [{"column": "tier", "classification": "public", "mask": "clear"}]


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    """Ana completed a read of restricted columns and was refused; Bob and Eve read public ones."""
    with running(tmp_path / "state") as plane:
        for name in NAMES:
            domain, _, agent = name.partition("/")
            client = plane.agent(domain, agent)
            keys = wrapped_keys(plane.state, name, USERS)
            client.audit.ReportEvidence(audit_pb2.ReportEvidenceRequest(keys=keys))
            if domain == "bookings":
                append(
                    client,
                    reading(1, "ana", name, RESTRICTED),
                    event(2, "completed", f"{name}-1", name, rows=42, bytes=420),
                    event(3, "refused", agent=name, user="ana", reasons=["agreement.missing"]),
                )
                append(client, reading(4, "bob", name, PUBLIC, purpose="audit"))
                append(client, event(5, "aborted", f"{name}-4", name, rows=7, bytes=70))
            else:
                append(client, reading(1, "eve", name, PUBLIC))
        yield plane


def reading(
    sequence: int, user: str, agent: str, columns: object, purpose: str = "crew-planning"
) -> audit_pb2.UsageEvent:
    product = f"{agent.partition('/')[0]}.reservations"
    decision = {"product": product, "dataset": "passengers", "columns": columns}
    return event(sequence, agent=agent, user=user, purpose=purpose, decisions=[decision])


def counts(
    client: Client, *dimensions: audit_pb2.Dimension.ValueType, **selection: object
) -> dict[tuple[str, ...], tuple[int, int, int]]:
    """Reads, refused and rows by group."""
    request = audit_pb2.SummarizeReadsRequest(
        selection=audit_pb2.ReadSelection(**selection),  # type: ignore[arg-type]
        dimensions=dimensions,
    )
    groups = client.audit.SummarizeReads(request).groups
    return {tuple(one.values): (one.reads, one.refused, one.rows) for one in groups}


def listed(client: Client, **wanted: object) -> list[str]:
    request = audit_pb2.ListEntriesRequest(kind="read", **wanted)  # type: ignore[arg-type]
    return [entry.reference for entry in client.audit.ListEntries(request).entries]


def test_reads_are_counted_by_who_and_class(plane: Plane) -> None:
    assert counts(plane.admin, audit_pb2.DIMENSION_ACTOR) == {
        ("user:ana",): (2, 1, 42),
        ("user:bob",): (1, 0, 7),
        ("user:eve",): (1, 0, 0),
    }
    by_class = audit_pb2.DIMENSION_CLASSIFICATION
    assert counts(plane.admin, audit_pb2.DIMENSION_PRODUCT, by_class, actor="user:ana") == {
        ("bookings.reservations", ""): (1, 1, 0),
        ("bookings.reservations", "public"): (1, 0, 42),
        ("bookings.reservations", "restricted"): (1, 0, 42),
    }
    assert counts(plane.admin, audit_pb2.DIMENSION_OUTCOME, classification="public") == {
        ("aborted",): (1, 0, 7),
        ("completed",): (1, 0, 42),
        ("started",): (1, 0, 0),
    }
    assert counts(plane.admin, audit_pb2.DIMENSION_HOUR) == {("2026-11-24T12:00:00Z",): (4, 1, 49)}
    assert counts(plane.admin, by_class, since=to_timestamp(BASE + timedelta(hours=1))) == {}


def test_everybody_counts_what_they_may_see(plane: Plane) -> None:
    by = audit_pb2.DIMENSION_ACTOR
    everybody = {("user:ana",), ("user:bob",), ("user:eve",)}
    for duty in ("auditor", "security"):
        assert counts(plane.user("ada", duties=(duty,)), by).keys() == everybody
    assert counts(plane.user("olga", duties=("owner:fleet",)), by).keys() == {("user:eve",)}
    steward = plane.user("bob", duties=("steward:fleet",))
    assert counts(steward, by).keys() == {("user:bob",), ("user:eve",)}
    assert counts(plane.user("ana"), by).keys() == {("user:ana",)}
    assert counts(plane.user("zoe"), by) == {}


def test_the_timeline_is_narrowed_by_purpose_outcome_class_and_end(plane: Plane) -> None:
    ada = plane.user("ada", duties=("auditor",))
    mine = "bookings/bookings-1"
    assert listed(ada, classification="restricted") == [f"{mine}-1"]
    assert listed(ada, classification="confidential") == []
    assert listed(ada, purpose="audit") == [f"{mine}-4"]
    assert listed(ada, outcome="refused") == [f"{mine}-3"]
    assert listed(ada, outcome="started") == ["fleet/fleet-1-1"]
    assert listed(ada, classification="public", product="bookings.reservations") == [
        f"{mine}-4",
        f"{mine}-1",
    ]
    until = to_timestamp(BASE + timedelta(seconds=3))
    assert sorted(listed(ada, until=until)) == [f"{mine}-1", "fleet/fleet-1-1"]
    both = audit_pb2.ListEntriesRequest(purpose="audit")
    assert [entry.kind for entry in ada.audit.ListEntries(both).entries] == ["read"]


def test_a_narrowed_timeline_is_paged(plane: Plane) -> None:
    wanted = audit_pb2.ListEntriesRequest(classification="public", page_size=1)
    pages = []
    while True:
        answer = plane.admin.audit.ListEntries(wanted)
        pages.append([entry.reference for entry in answer.entries])
        if not answer.next_page_token:
            break
        wanted.page_token = answer.next_page_token
    assert sorted(pages) == [
        ["bookings/bookings-1-1"],
        ["bookings/bookings-1-4"],
        ["fleet/fleet-1-1"],
    ]


def test_groups_stop_at_the_limit_and_say_so(plane: Plane) -> None:
    request = audit_pb2.SummarizeReadsRequest(dimensions=[audit_pb2.DIMENSION_ACTOR], limit=2)
    answer = plane.admin.audit.SummarizeReads(request)
    assert [tuple(one.values) for one in answer.groups] == [("user:ana",), ("user:bob",)]
    assert answer.truncated
    request.limit = 3
    assert not plane.admin.audit.SummarizeReads(request).truncated


@pytest.mark.parametrize(
    ("field", "request_"),
    [
        ("dimensions", audit_pb2.SummarizeReadsRequest()),
        ("dimensions", audit_pb2.SummarizeReadsRequest(dimensions=[0])),  # type: ignore[list-item]
        ("dimensions", audit_pb2.SummarizeReadsRequest(dimensions=[99])),  # type: ignore[list-item]
        ("dimensions", audit_pb2.SummarizeReadsRequest(dimensions=[1, 1])),  # type: ignore[list-item]
        ("dimensions", audit_pb2.SummarizeReadsRequest(dimensions=[1, 2, 3, 4])),  # type: ignore[list-item]
        ("limit", audit_pb2.SummarizeReadsRequest(dimensions=[1], limit=10_001)),  # type: ignore[list-item]
        ("limit", audit_pb2.SummarizeReadsRequest(dimensions=[1], limit=-1)),  # type: ignore[list-item]
        (
            "outcome",
            audit_pb2.SummarizeReadsRequest(
                dimensions=[audit_pb2.DIMENSION_ACTOR],
                selection=audit_pb2.ReadSelection(outcome="fine"),
            ),
        ),
        ("classification", audit_pb2.ListEntriesRequest(classification="secret")),
        ("outcome", audit_pb2.ListEntriesRequest(outcome="fine")),
        (
            "until",
            audit_pb2.ListEntriesRequest(
                since=to_timestamp(BASE), until=to_timestamp(BASE - timedelta(seconds=1))
            ),
        ),
    ],
)
def test_what_means_nothing_is_refused(
    field: str,
    request_: audit_pb2.SummarizeReadsRequest | audit_pb2.ListEntriesRequest,
    plane: Plane,
) -> None:
    audit = plane.admin.audit

    def ask() -> object:
        if isinstance(request_, audit_pb2.ListEntriesRequest):
            return audit.ListEntries(request_)
        return audit.SummarizeReads(request_)

    error = error_of(ask)
    assert isinstance(error, RequestInvalid)
    assert error.metadata["field"] == field
