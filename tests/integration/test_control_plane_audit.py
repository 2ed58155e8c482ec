"""Evidence over real gRPC: appended once and in order, seen by those who may, tailed."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import grpc
import pytest

from mesh.errors import (
    EvidenceConflict,
    EvidenceGap,
    EvidenceInvalid,
    ReceiptNotFound,
    RequestInvalid,
    RequestTooLarge,
    TokenExpired,
)
from mesh.v1 import audit_pb2, identity_pb2, status_pb2
from mesh.wire.times import to_duration, to_timestamp
from tests.unit.control_plane.running import Client, Plane, error_of, eventually, running

BASE = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with running(tmp_path / "state") as plane:
        yield plane


def event(
    sequence: int,
    kind: str = "started",
    receipt: str = "",
    agent: str = "bookings/bookings-1",
    user: str = "ana",
    **data: object,
) -> audit_pb2.UsageEvent:
    """An event of a read of the agent's own product, `<domain>.reservations`."""
    product = f"{agent.partition('/')[0]}.reservations"
    document: dict[str, object] = data
    if kind in ("started", "refused"):
        document = {
            "statement": "SELECT id FROM passengers",
            "purpose": "crew-planning",
            "principal": {"kind": "user", "subject": user, "teams": []},
            "decisions": [{"product": product, "dataset": "passengers"}],
            **data,
        }
    return audit_pb2.UsageEvent(
        id=f"{agent}-{sequence}",
        source=f"/agents/{agent}",
        type=f"io.meshwarden.read.{kind}.v1",
        time=to_timestamp(BASE + timedelta(seconds=sequence)),
        sequence=sequence,
        receipt=receipt or f"{agent}-{sequence}",
        data=json.dumps(document).encode(),
    )


def append(agent: Client, *events: audit_pb2.UsageEvent) -> int:
    return agent.audit.AppendEvents(audit_pb2.AppendEventsRequest(events=events)).stored_sequence


def entries(client: Client, **wanted: object) -> list[audit_pb2.Entry]:
    request = audit_pb2.ListEntriesRequest(**wanted)  # type: ignore[arg-type]
    return list(client.audit.ListEntries(request).entries)


def test_events_are_stored_in_order_and_once(plane: Plane) -> None:
    agent = plane.agent()
    assert append(agent) == 0
    assert append(agent, event(1), event(2)) == 2
    assert append(agent, event(1), event(2)) == 2
    assert append(agent, event(2), event(3)) == 3
    assert append(agent) == 3
    assert len(entries(plane.admin, kind="read")) == 3


def test_a_gap_says_where_to_go_on_and_stores_nothing(plane: Plane) -> None:
    agent = plane.agent()
    append(agent, event(1))
    error = error_of(lambda: append(agent, event(3), event(4)))
    assert isinstance(error, EvidenceGap)
    assert error.metadata["sequence"] == "2"
    assert append(agent) == 1


def test_another_event_under_a_stored_sequence_is_a_conflict(plane: Plane) -> None:
    agent = plane.agent()
    append(agent, event(1), event(2))
    forked = error_of(lambda: append(agent, event(2, user="eve"), event(3)))
    assert isinstance(forked, EvidenceConflict)
    assert forked.metadata["sequence"] == "2"
    assert append(agent) == 2


def test_an_agent_appends_for_itself_only(plane: Plane) -> None:
    one, two = plane.agent(), plane.agent("bookings", "bookings-2")
    append(one, event(1))
    assert isinstance(error_of(lambda: append(two, event(1))), EvidenceInvalid)
    hijack = event(1, "completed", "bookings/bookings-1-1", "bookings/bookings-2", rows=1)
    assert isinstance(error_of(lambda: append(two, hijack)), EvidenceInvalid)
    assert append(two) == 0


def test_malformed_events_are_refused_whole(plane: Plane) -> None:
    agent = plane.agent()
    odd = event(2)
    odd.data = b"not json"
    assert isinstance(error_of(lambda: append(agent, event(1), odd)), EvidenceInvalid)
    twice = event(2)
    twice.id = event(1).id
    assert isinstance(error_of(lambda: append(agent, event(1), twice)), EvidenceConflict)
    assert append(agent) == 0


def test_events_larger_than_a_megabyte_together_are_refused(plane: Plane) -> None:
    agent = plane.agent()
    large = [event(n, statement="x" * 300_000) for n in range(1, 5)]
    assert isinstance(error_of(lambda: append(agent, *large)), RequestTooLarge)
    assert append(agent, *large[:3]) == 3


def test_a_receipt_goes_from_started_to_completed(plane: Plane) -> None:
    agent, ana = plane.agent(), plane.user("ana")
    started = event(1)
    append(agent, started)
    append(agent, event(2, "completed", started.receipt, rows=42, bytes=7, duration_ms=3))
    (entry,) = entries(ana, kind="read")
    assert (entry.action, entry.rows, entry.actor) == ("read.completed", 42, "user:ana")
    assert (entry.product, entry.purpose) == ("bookings.reservations", "crew-planning")
    receipt = ana.audit.GetReceipt(audit_pb2.GetReceiptRequest(id=started.receipt)).receipt
    assert (receipt.state, receipt.domain, receipt.agent) == ("completed", "bookings", "bookings-1")
    assert [item.sequence for item in receipt.events] == [1, 2]
    assert json.loads(receipt.events[0].data) == json.loads(started.data)
    status = plane.admin.status.GetStatus(status_pb2.GetStatusRequest())
    assert status.receipts == 1


def test_a_refused_read_keeps_its_reasons(plane: Plane) -> None:
    agent = plane.agent()
    append(agent, event(1, "refused", reasons=["agreement.missing"], message="no agreement"))
    append(agent, event(2, "refused", decisions=[], reasons=["statement.invalid"], message="no"))
    second, first = entries(plane.admin, kind="read")
    assert list(first.reasons) == ["agreement.missing"]
    assert first.summary == "no agreement"
    assert (second.product, list(second.reasons)) == ("", ["statement.invalid"])


def test_an_agent_can_say_nothing_of_another_domains_products(plane: Plane) -> None:
    stranger = plane.agent("fleet", "fleet-1")
    claimed = [{"product": "bookings.reservations", "dataset": "passengers"}]
    refused = error_of(lambda: append(stranger, event(1, agent="fleet/fleet-1", decisions=claimed)))
    assert isinstance(refused, EvidenceInvalid)
    assert entries(plane.admin, kind="read") == []


def test_everybody_sees_what_their_duties_show(plane: Plane) -> None:
    append(plane.agent(), event(1), event(2, user="bob"))
    append(plane.agent("fleet", "fleet-1"), event(1, agent="fleet/fleet-1", user="bob"))

    def reads(name: str, *duties: str) -> list[str]:
        return sorted(
            entry.reference for entry in entries(plane.user(name, duties=duties), kind="read")
        )

    everything = ["bookings/bookings-1-1", "bookings/bookings-1-2", "fleet/fleet-1-1"]
    for duty in ("auditor", "security", "admin"):
        assert reads("someone", duty) == everything
    assert reads("someone") == []
    assert reads("ana") == everything[:1]
    assert reads("bob") == everything[1:]
    assert reads("sam", "steward:bookings") == everything[:2]
    assert reads("olga", "owner:fleet") == everything[2:]
    foreign = audit_pb2.GetReceiptRequest(id=everything[2])
    ana = plane.user("ana")
    hidden = error_of(lambda: ana.audit.GetReceipt(foreign))
    unknown = error_of(lambda: ana.audit.GetReceipt(audit_pb2.GetReceiptRequest(id="none")))
    assert isinstance(hidden, ReceiptNotFound)
    assert hidden.message.replace(everything[2], "none") == unknown.message


def test_the_timeline_is_paged_and_selected(plane: Plane) -> None:
    append(plane.agent(), *(event(n) for n in range(1, 8)))
    listed: list[str] = []
    token = ""
    while True:
        page = plane.admin.audit.ListEntries(
            audit_pb2.ListEntriesRequest(
                kind="read", actor="user:ana", page_size=3, page_token=token
            )
        )
        listed += [entry.reference for entry in page.entries]
        token = page.next_page_token
        if not token:
            break
    assert listed == [f"bookings/bookings-1-{n}" for n in range(7, 0, -1)]
    since = to_timestamp(BASE + timedelta(seconds=6))
    assert len(entries(plane.admin, kind="read", since=since)) == 2
    assert len(entries(plane.admin, product="bookings.reservations")) == 7
    assert entries(plane.admin, product="bookings.fares") == []
    for wrong in ({"page_token": "x"}, {"page_size": -1}, {"kind": "other"}):
        assert isinstance(error_of(partial(entries, plane.admin, **wrong)), RequestInvalid)


class Tail:
    """A tail that runs in a thread of its own."""

    def __init__(self, client: Client, cursor: str = "") -> None:
        self.entries: list[audit_pb2.Entry] = []
        self.error: grpc.RpcError | None = None
        self._call = client.audit.TailEntries(audit_pb2.TailEntriesRequest(cursor=cursor))
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self.entries.extend(response.entry for response in self._call)
        except grpc.RpcError as error:
            self.error = error

    def cancel(self) -> None:
        self._call.cancel()
        self._thread.join()

    def join(self) -> None:
        self._thread.join()


@pytest.fixture
def tail() -> Iterator[Callable[..., Tail]]:
    tails: list[Tail] = []

    def make(client: Client, cursor: str = "") -> Tail:
        tails.append(Tail(client, cursor))
        return tails[-1]

    yield make
    for made in tails:
        made.cancel()


def test_a_tail_sends_entries_as_they_arrive_and_change(
    plane: Plane, tail: Callable[..., Tail]
) -> None:
    agent = plane.agent()
    running_tail = tail(plane.admin, "0")
    eventually(lambda: any(e.action == "agent.enrolled" for e in running_tail.entries))
    append(agent, event(1))
    append(agent, event(2, "completed", event(1).receipt, rows=1))
    eventually(
        lambda: (
            [e.action for e in running_tail.entries if e.kind == "read"][-1:] == ["read.completed"]
        )
    )
    cursors = [int(entry.cursor) for entry in running_tail.entries]
    assert cursors == sorted(set(cursors))


def test_a_tail_resumes_after_a_cursor_and_misses_nothing(
    plane: Plane, tail: Callable[..., Tail]
) -> None:
    agent = plane.agent()
    append(agent, *(event(n) for n in range(1, 301)))
    first = tail(plane.admin, "0")
    eventually(lambda: len(first.entries) >= 100)
    first.cancel()
    seen = list(first.entries)
    second = tail(plane.admin, seen[-1].cursor)
    eventually(lambda: len({e.reference for e in seen + second.entries if e.kind == "read"}) == 300)
    assert not {e.cursor for e in seen} & {e.cursor for e in second.entries}


def test_a_tail_from_now_and_a_narrow_sight(plane: Plane, tail: Callable[..., Tail]) -> None:
    agent, ana = plane.agent(), plane.user("ana")
    append(agent, event(1))
    mine = tail(ana)
    everything = tail(plane.admin)
    number = 2

    def told() -> bool:
        nonlocal number
        append(agent, event(number, user="bob"), event(number + 1))
        number += 2
        return bool(mine.entries) and bool(everything.entries)

    eventually(told)
    assert {entry.actor for entry in mine.entries} == {"user:ana"}
    assert event(1).receipt not in [entry.reference for entry in mine.entries]


def test_a_tail_with_a_foreign_cursor_is_refused(plane: Plane) -> None:
    call = plane.admin.audit.TailEntries(audit_pb2.TailEntriesRequest(cursor="later"))
    assert isinstance(error_of(lambda: next(iter(call))), RequestInvalid)


def test_a_tail_ends_with_its_token(plane: Plane, tail: Callable[..., Tail]) -> None:
    request = identity_pb2.IssueTokenRequest(
        principal=identity_pb2.Principal(kind="user", subject="ana", duties=["auditor"]),
        lifetime=to_duration(timedelta(seconds=2)),
    )
    ana = plane.client(plane.admin.identity.IssueToken(request).token)
    running_tail = tail(ana, "0")
    running_tail.join()
    assert running_tail.error is not None

    def raised() -> None:
        assert running_tail.error is not None
        raise running_tail.error

    assert isinstance(error_of(raised), TokenExpired)


def test_evidence_survives_a_restart(tmp_path: Path) -> None:
    with running(tmp_path / "state") as plane:
        agent = plane.agent()
        append(agent, event(1), event(2))
        token = agent.token
        before = entries(plane.admin)
    with running(tmp_path / "state") as plane:
        assert entries(plane.admin) == before
        again = plane.client(token)
        assert append(again) == 2
        assert append(again, event(2), event(3)) == 3
