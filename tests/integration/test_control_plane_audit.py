"""Evidence over real gRPC: appended once and in order, seen by those who may, tailed."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import pytest

from mesh.errors import (
    ControlOverloaded,
    EvidenceConflict,
    EvidenceGap,
    EvidenceInvalid,
    MeshError,
    ReceiptAmbiguous,
    ReceiptNotFound,
    RequestInvalid,
    RequestTooLarge,
    TokenExpired,
)
from mesh.v1 import agreements_pb2, audit_pb2, contracts_pb2, identity_pb2, status_pb2
from mesh.wire.times import to_duration, to_timestamp
from tests.unit.control_plane.cutting import cut_off
from tests.unit.control_plane.documents import contract
from tests.unit.control_plane.running import Client, Plane, error_of, eventually, running
from tests.unit.control_plane.sealing import sealed

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
            "decisions": [{"product": product, "dataset": "passengers"}],
            **data,
        }
    content = json.dumps(document).encode()
    if kind in ("started", "refused"):
        content = sealed(f"{agent}-{sequence}", agent, user, document)
    return audit_pb2.UsageEvent(
        id=f"{agent}-{sequence}",
        source=f"/agents/{agent}",
        type=f"io.meshwarden.read.{kind}.v1",
        time=to_timestamp(BASE + timedelta(seconds=sequence)),
        sequence=sequence,
        receipt=receipt or f"{agent}-{sequence}",
        data=content,
    )


def named(plane: Plane, name: str) -> Client:
    """The agent of that name, `domain/id`."""
    domain, _, agent = name.partition("/")
    return plane.agent(domain, agent)


def append(agent: Client, *events: audit_pb2.UsageEvent) -> int:
    return agent.audit.AppendEvents(audit_pb2.AppendEventsRequest(events=events)).stored_sequence


def entries(client: Client, **wanted: object) -> list[audit_pb2.Entry]:
    request = audit_pb2.ListEntriesRequest(**wanted)  # type: ignore[arg-type]
    return list(client.audit.ListEntries(request).entries)


def suspects(client: Client) -> list[audit_pb2.Entry]:
    return [entry for entry in entries(client) if entry.action == "evidence.suspect"]


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
    assert append(two) == 0


@pytest.mark.parametrize("rogue", ["bookings/bookings-2", "fleet/fleet-1"])
def test_a_receipt_id_that_another_agent_used_first_blocks_and_mixes_nothing(
    plane: Plane, rogue: str
) -> None:
    victim, squatter = plane.agent(), named(plane, rogue)
    started = event(1)
    squat = event(1, "started", started.receipt, rogue, user="eve")
    squat.id = started.receipt
    squat.data = sealed(squat.id, rogue, "eve", {"purpose": "mischief"})
    append(squatter, squat, event(2, "aborted", started.receipt, rogue, reason="mischief"))
    assert append(victim, started) == 1
    assert append(victim, event(2, "completed", started.receipt, rows=42)) == 2

    told = {entry.actor: entry.action for entry in entries(plane.admin, kind="read")}
    assert told == {"user:ana": "read.completed", "user:eve": "read.aborted"}
    wanted = audit_pb2.GetReceiptRequest(id=started.receipt)
    mine = plane.user("ana").audit.GetReceipt(wanted).receipt
    assert (mine.domain, mine.agent, mine.state) == ("bookings", "bookings-1", "completed")
    assert [item.source for item in mine.events] == ["/agents/bookings/bookings-1"] * 2
    assert plane.admin.status.GetStatus(status_pb2.GetStatusRequest()).receipts == 2


def test_a_receipt_of_several_agents_is_told_apart_by_its_source(plane: Plane) -> None:
    names = ("bookings/bookings-1", "bookings/bookings-2", "fleet/fleet-1")
    for name in names:
        append(named(plane, name), event(1, receipt="r", agent=name))
    error = error_of(lambda: plane.admin.audit.GetReceipt(audit_pb2.GetReceiptRequest(id="r")))
    assert isinstance(error, ReceiptAmbiguous)
    assert all(name in error.message for name in names)
    assert error.metadata["agents"] == ", ".join(names)
    for name in names:
        narrow = audit_pb2.GetReceiptRequest(id="r", source=f"/agents/{name}")
        receipt = plane.admin.audit.GetReceipt(narrow).receipt
        assert f"{receipt.domain}/{receipt.agent}" == name
        assert [item.id for item in receipt.events] == [f"{name}-1"]

    olga = plane.user("olga", duties=("owner:fleet",))
    seen = plane.user("eve", duties=("owner:fleet",)).audit
    assert seen.GetReceipt(audit_pb2.GetReceiptRequest(id="r")).receipt.agent == "fleet-1"
    hidden = audit_pb2.GetReceiptRequest(id="r", source="/agents/bookings/bookings-1")
    assert isinstance(error_of(lambda: olga.audit.GetReceipt(hidden)), ReceiptNotFound)
    assert isinstance(
        error_of(
            lambda: plane.admin.audit.GetReceipt(audit_pb2.GetReceiptRequest(id="r", source="x"))
        ),
        ReceiptNotFound,
    )


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


def test_another_domains_product_is_stored_told_and_not_indexed(plane: Plane) -> None:
    stranger = plane.agent("fleet", "fleet-1")
    claimed = [
        {"product": "bookings.reservations", "dataset": "passengers"},
        {"product": "fleet.planes", "dataset": "planes"},
    ]
    claim = event(1, agent="fleet/fleet-1", decisions=claimed)
    assert append(stranger, claim, event(2, agent="fleet/fleet-1")) == 2
    assert entries(plane.admin, product="bookings.reservations") == []
    (read,) = entries(plane.admin, product="fleet.planes")
    assert (read.product, read.reference) == ("fleet.planes", claim.receipt)
    assert "bookings" not in read.summary
    (told,) = suspects(plane.admin)
    assert (told.kind, told.actor, told.reference) == (
        "change",
        "agent:fleet/fleet-1",
        claim.receipt,
    )
    assert "bookings.reservations" in told.summary
    assert suspects(plane.user("olga", duties=("owner:fleet",))) == [told]
    assert suspects(plane.user("paul", duties=("owner:bookings",))) == []
    receipt = plane.admin.audit.GetReceipt(audit_pb2.GetReceiptRequest(id=claim.receipt)).receipt
    assert json.loads(receipt.events[0].data)["decisions"] == claimed


def test_an_agreement_is_first_read_by_agents_of_its_own_domain_only(plane: Plane) -> None:
    plane.purpose()
    document = contracts_pb2.PublishContractRequest(document=contract())
    plane.admin.contracts.PublishContract(document)
    request = agreements_pb2.RequestAgreementRequest(
        domain="bookings",
        product="reservations",
        role="analyst",
        purpose="crew-planning",
        justification="plan",
    )
    asked = plane.user("ana").agreements.RequestAgreement(request).agreement
    approval = agreements_pb2.ApproveAgreementRequest(id=asked.id)
    plane.user("olga").agreements.ApproveAgreement(approval)

    def first_read() -> bool:
        wanted = agreements_pb2.GetAgreementRequest(id=asked.id)
        return plane.admin.agreements.GetAgreement(wanted).agreement.HasField("first_read_time")

    def under(agent: str, sequence: int, agreement: str) -> audit_pb2.UsageEvent:
        product = f"{agent.partition('/')[0]}.reservations"
        decision = {"product": product, "dataset": "passengers", "agreement": agreement}
        return event(sequence, agent=agent, decisions=[decision])

    forged = under("fleet/fleet-1", 1, asked.id)
    unknown = under("fleet/fleet-1", 2, "0193f0c2-none")
    assert append(plane.agent("fleet", "fleet-1"), forged, unknown) == 2
    assert not first_read()
    told = {entry.reference: entry.summary for entry in suspects(plane.admin)}
    assert list(told) == [unknown.receipt, forged.receipt]
    assert (
        told[forged.receipt].replace(asked.id, "0193f0c2-none").replace("event 1", "event 2")
        == (told[unknown.receipt])
    )
    assert append(plane.agent(), under("bookings/bookings-1", 1, asked.id)) == 1
    assert first_read()
    assert len(suspects(plane.admin)) == 2


ODD = "\x00" + "x" * 5_000


@pytest.mark.parametrize(
    "data",
    [
        {"decisions": [{"product": f"bookings.{ODD}", "agreement": ODD, "dataset": ODD}]},
        {"decisions": [{"product": "bookings.a b"}, {"product": "bookings."}]},
        {"decisions": [{"product": f"bookings.p{n}"} for n in range(2_000)]},
        {"decisions": [{"agreement": f"a{n}"} for n in range(40_000)]},
    ],
    ids=["long", "malformed", "many-products", "many-agreements"],
)
def test_odd_names_wedge_no_log_and_are_told(plane: Plane, data: dict[str, Any]) -> None:
    agent = plane.agent()
    assert append(agent, event(1, **data), event(2)) == 2
    (told,) = suspects(plane.admin)
    assert len(told.summary) < 500
    assert "\x00" not in told.summary


def test_odd_texts_wedge_no_log(plane: Plane) -> None:
    agent = plane.agent()
    odd = event(1, "refused", purpose=ODD, message=ODD, reasons=[ODD] * 150, user=ODD)
    assert append(agent, odd, event(2)) == 2
    read = entries(plane.admin, kind="read")[-1]
    assert read.actor == ""
    for text in (read.purpose, read.summary, *read.reasons):
        assert len(text) <= 2_000
        assert "\x00" not in text


def test_events_about_keys_are_changes_and_no_receipts(plane: Plane) -> None:
    key = event(1, "completed", key="k1")
    key.type = "io.meshwarden.key.destroyed.v1"
    assert append(plane.agent(), key) == 1
    assert entries(plane.admin, kind="read") == []
    (told,) = (e for e in entries(plane.admin) if e.action == "key.destroyed")
    assert (told.actor, told.reference, told.summary) == ("agent:bookings/bookings-1", key.id, "k1")
    assert plane.admin.status.GetStatus(status_pb2.GetStatusRequest()).receipts == 0


@pytest.mark.parametrize("odd", ["", "a\x00b", 'a"b', "x" * 201])
def test_odd_ids_are_refused(plane: Plane, odd: str) -> None:
    agent = plane.agent()
    for name in ("id", "receipt"):
        wrong = event(1)
        setattr(wrong, name, odd)
        assert isinstance(error_of(partial(append, agent, wrong)), EvidenceInvalid)


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


def refused_tail(client: Client) -> MeshError:
    """The error that one more tail ends with."""
    return error_of(
        lambda: next(iter(client.audit.TailEntries(audit_pb2.TailEntriesRequest(cursor="0"))))
    )


def test_a_caller_has_four_tails_and_others_have_theirs(
    plane: Plane, tail: Callable[..., Tail]
) -> None:
    admin, other = plane.admin, plane.user("olga", duties=("auditor",))
    tails = [tail(admin, "0") for _ in range(4)]
    eventually(lambda: all(one.entries for one in tails))
    refused = refused_tail(admin)
    assert isinstance(refused, ControlOverloaded)
    assert refused.metadata["limit"] == "4"
    assert isinstance(refused_tail(plane.client(admin.token)), ControlOverloaded)
    first = next(iter(other.audit.TailEntries(audit_pb2.TailEntriesRequest(cursor="0"))))
    assert first.entry.cursor == "1"
    tails[0].cancel()
    again = tail(admin, "0")
    eventually(lambda: again.entries or again.error)
    assert again.entries


def _cancelled(plane: Plane, client: Client, request: audit_pb2.TailEntriesRequest) -> None:
    call = client.audit.TailEntries(request)
    next(iter(call))
    call.cancel()


def _past_its_deadline(plane: Plane, client: Client, request: audit_pb2.TailEntriesRequest) -> None:
    with pytest.raises(grpc.RpcError) as ended:
        list(client.audit.TailEntries(request, timeout=0.3))
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


def _vanished(plane: Plane, client: Client, request: audit_pb2.TailEntriesRequest) -> None:
    with cut_off(plane.address) as (address, cut):
        lost = Client(address, client.token)
        next(iter(lost.audit.TailEntries(request)))
        cut()
        lost.channel.close()


def _refused(plane: Plane, client: Client, request: audit_pb2.TailEntriesRequest) -> None:
    call = client.audit.TailEntries(audit_pb2.TailEntriesRequest(cursor="later"))
    assert isinstance(error_of(lambda: next(iter(call))), RequestInvalid)


def _left_unread(plane: Plane, client: Client, request: audit_pb2.TailEntriesRequest) -> None:
    """Nobody reads, so the handler waits in a write when the call is cancelled."""
    call = client.audit.TailEntries(request)
    eventually(lambda: plane.calls("TailEntries") == 1)
    call.cancel()


@pytest.mark.parametrize("end", [_cancelled, _past_its_deadline, _vanished, _refused, _left_unread])
def test_a_tail_that_ended_in_any_way_makes_room(
    plane: Plane, end: Callable[[Plane, Client, audit_pb2.TailEntriesRequest], None]
) -> None:
    agent = plane.agent()
    for start in range(1, 401, 100):
        long = [event(n, "refused", message="x" * 1_900) for n in range(start, start + 100)]
        append(agent, *long)
    client = plane.admin
    request = audit_pb2.TailEntriesRequest(cursor="0")
    for _ in range(6):
        end(plane, client, request)
        eventually(lambda: plane.calls("TailEntries") == 0)
    calls = [client.audit.TailEntries(request) for _ in range(4)]
    assert [next(iter(call)).entry.cursor for call in calls] == ["1"] * 4
    for call in calls:
        call.cancel()


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
