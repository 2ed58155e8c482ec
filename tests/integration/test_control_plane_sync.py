"""The Sync stream: snapshot, deltas, leases, answers; and that every stream's handler ends."""

import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from control_plane.database import Database, open_sqlite
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from mesh.contracts.values import Classification
from mesh.errors import (
    AgentRevisionStale,
    AgentSuperseded,
    ControlUnavailable,
    MeshError,
    RequestInvalid,
)
from mesh.leases import DEFAULT_LEASES, Leases
from mesh.snapshots.entries import Difference, entries_digest
from mesh.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    agreements_pb2,
    audit_pb2,
    contracts_pb2,
    purposes_pb2,
    status_pb2,
)
from mesh.wire.leases import leases_from_proto
from mesh.wire.snapshots import entries_from_proto
from mesh.wire.status import from_rpc_error
from tests.unit.control_plane.cutting import cut_off
from tests.unit.control_plane.documents import contract
from tests.unit.control_plane.running import Client, Plane, error_of, eventually, running
from tests.unit.control_plane.streams import SyncStream

SECOND = timedelta(seconds=1)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with running(tmp_path / "state") as plane:
        yield plane


def shown(plane: Plane, agent: str = "bookings-1") -> agents_pb2.Agent:
    request = agents_pb2.GetAgentRequest(domain="bookings", id=agent)
    return plane.admin.agents.GetAgent(request).agent


def end_of(stream: SyncStream) -> MeshError:
    """The error that the stream ends with, whatever comes before."""
    with pytest.raises(grpc.RpcError) as ended:
        for _ in stream.call:
            pass
    return from_rpc_error(ended.value, "the control plane")


def publish(plane: Plane, document: bytes) -> None:
    plane.admin.contracts.PublishContract(contracts_pb2.PublishContractRequest(document=document))


def apply(entries: dict[str, bytes], delta: agents_pb2.SnapshotDelta) -> dict[str, bytes]:
    changed = Difference(entries_from_proto(delta.upserts), tuple(delta.removals)).apply(entries)
    assert entries_digest(changed) == delta.digest
    return changed


def test_an_agent_gets_its_domains_snapshot_and_nothing_of_others(plane: Plane) -> None:
    plane.purpose()
    publish(plane, contract())
    publish(plane, contract("planes", domain="fleet"))
    agent = plane.agent()
    payload, entries = SyncStream(agent).snapshot()
    assert payload.domain == "bookings"
    assert leases_from_proto(payload.leases) == DEFAULT_LEASES
    assert payload.complete_revision >= payload.revision
    assert entries_digest(entries) == payload.snapshot.digest
    assert {key.partition("/")[0] for key in entries} == {"contract", "purpose", "policy", "key"}
    assert [key for key in entries if key.startswith("contract/")] == [
        "contract/reservations/1.0.0"
    ]
    assert not any(b"planes" in value for value in entries.values())


def test_every_change_arrives_as_a_delta_that_leads_to_its_digest(plane: Plane) -> None:
    stream = SyncStream(plane.agent())
    payload, entries = stream.snapshot()
    revision = payload.revision

    def follow() -> agents_pb2.SnapshotDelta:
        nonlocal revision, entries
        delta = stream.payload()
        assert delta.delta.previous_revision == revision
        revision, entries = delta.revision, apply(entries, delta.delta)
        return delta.delta

    plane.purpose()
    assert [entry.key for entry in follow().upserts] == ["purpose/crew-planning"]
    publish(plane, contract())
    assert [entry.key for entry in follow().upserts] == ["contract/reservations/1.0.0"]
    publish(plane, contract(version="1.1.0"))
    changed = follow()
    assert [entry.key for entry in changed.upserts] == ["contract/reservations/1.1.0"]
    assert list(changed.removals) == ["contract/reservations/1.0.0"]
    ana, olga = plane.user("ana"), plane.user("olga")
    asked = ana.agreements.RequestAgreement(
        agreements_pb2.RequestAgreementRequest(
            domain="bookings",
            product="reservations",
            role="analyst",
            purpose="crew-planning",
            justification="plan",
        )
    ).agreement
    olga.agreements.ApproveAgreement(agreements_pb2.ApproveAgreementRequest(id=asked.id))
    (active,) = follow().upserts
    assert active.key == f"agreement/{asked.id}"
    message = agreements_pb2.Agreement.FromString(active.value)
    assert message.state == agreements_pb2.AGREEMENT_STATE_ACTIVE
    assert not message.approvers
    olga.agreements.RevokeAgreement(agreements_pb2.RevokeAgreementRequest(id=asked.id))
    (revoked,) = follow().upserts
    state = agreements_pb2.Agreement.FromString(revoked.value).state
    assert state == agreements_pb2.AGREEMENT_STATE_REVOKED


def test_what_concerns_other_domains_is_not_sent(plane: Plane) -> None:
    stream = SyncStream(plane.agent())
    payload, _ = stream.snapshot()
    publish(plane, contract("planes", domain="fleet", purposes=()))
    plane.purpose()
    delta = stream.payload()
    assert delta.delta.previous_revision == payload.revision
    assert [entry.key for entry in delta.delta.upserts] == ["purpose/crew-planning"]


def test_an_acknowledged_revision_is_shown_with_when_it_was_enforced(plane: Plane) -> None:
    agent = plane.agent()
    stream = SyncStream(agent)
    payload, _ = stream.snapshot()
    assert shown(plane).connected
    stream.acknowledge(payload.revision, payload.snapshot.digest)
    eventually(lambda: shown(plane).acknowledged_revision == payload.revision)
    status = plane.admin.status.GetStatus(status_pb2.GetStatusRequest())
    assert (status.agents, status.agents_current) == (1, 1)
    plane.purpose()
    assert shown(plane).target_revision > payload.revision
    status = plane.admin.status.GetStatus(status_pb2.GetStatusRequest())
    assert status.agents_current == 0
    stream.leave()
    eventually(lambda: not shown(plane).connected)


def test_an_agreement_shows_when_it_was_enforced(plane: Plane) -> None:
    plane.purpose()
    publish(plane, contract())
    stream = SyncStream(plane.agent())
    payload, _ = stream.snapshot()
    stream.acknowledge(payload.revision, payload.snapshot.digest)
    request = agreements_pb2.RequestAgreementRequest(
        domain="bookings",
        product="reservations",
        role="analyst",
        purpose="crew-planning",
        justification="plan",
    )
    asked = plane.admin.agreements.RequestAgreement(request).agreement
    wanted = agreements_pb2.GetAgreementRequest(id=asked.id)
    approval = agreements_pb2.ApproveAgreementRequest(id=asked.id)
    approved = plane.user("olga").agreements.ApproveAgreement(approval).agreement
    assert not approved.HasField("enforce_time")
    delta = stream.payload()
    stream.acknowledge(delta.revision, delta.delta.digest)
    admin = plane.admin
    eventually(lambda: admin.agreements.GetAgreement(wanted).agreement.HasField("enforce_time"))


def test_a_refused_revision_is_shown_and_everything_sent_anew_once(plane: Plane) -> None:
    stream = SyncStream(plane.agent())
    payload, _ = stream.snapshot()
    stream.refuse(payload.revision)
    again, _ = stream.snapshot()
    assert (again.revision, again.snapshot) == (payload.revision, payload.snapshot)
    assert "agent.digest_mismatch" in shown(plane).refusal
    stream.refuse(payload.revision)
    plane.purpose()
    after = stream.payload()
    assert after.WhichOneof("message") == "delta"
    stream.acknowledge(after.revision, after.delta.digest)
    eventually(lambda: shown(plane).refusal == "")


def test_an_acknowledgement_with_another_digest_counts_as_a_refusal(plane: Plane) -> None:
    stream = SyncStream(plane.agent())
    payload, _ = stream.snapshot()
    stream.acknowledge(payload.revision, b"other")
    again, _ = stream.snapshot()
    assert again.snapshot.digest == payload.snapshot.digest
    assert shown(plane).acknowledged_revision == 0
    assert "digest_mismatch" in shown(plane).refusal


def test_a_revision_that_was_never_sent_can_not_be_acknowledged(plane: Plane) -> None:
    stream = SyncStream(plane.agent())
    payload, _ = stream.snapshot()
    stream.acknowledge(payload.revision + 1, payload.snapshot.digest)
    assert isinstance(end_of(stream), RequestInvalid)
    assert shown(plane).acknowledged_revision == 0


def test_an_agent_ahead_of_the_control_plane_is_refused(plane: Plane) -> None:
    stream = SyncStream(plane.agent(), acknowledged=1_000)
    assert isinstance(end_of(stream), AgentRevisionStale)


@pytest.mark.parametrize("first", ["nothing", "acknowledgement", "empty"])
def test_a_stream_begins_with_hello(plane: Plane, first: str) -> None:
    agent = plane.agent()
    requests = {
        "nothing": [],
        "empty": [agents_pb2.SyncRequest()],
        "acknowledgement": [
            agents_pb2.SyncRequest(acknowledgement=agents_pb2.SyncAcknowledgement(revision=1))
        ],
    }[first]
    stub = agents_pb2_grpc.AgentServiceStub(agent.channel)
    call = stub.Sync(iter(requests), metadata=agent.metadata, timeout=20)
    assert isinstance(error_of(lambda: list(call)), RequestInvalid)


def test_a_second_hello_ends_the_stream(plane: Plane) -> None:
    stream = SyncStream(plane.agent())
    stream.snapshot()
    stream.say(agents_pb2.SyncRequest(hello=agents_pb2.SyncHello()))
    assert isinstance(end_of(stream), RequestInvalid)


def test_a_later_stream_of_the_same_agent_ends_the_older(plane: Plane) -> None:
    agent = plane.agent()
    older = SyncStream(agent)
    older.snapshot()
    newer = SyncStream(agent)
    newer.snapshot()
    assert isinstance(end_of(older), AgentSuperseded)
    assert shown(plane).connected
    plane.purpose()
    assert newer.payload().WhichOneof("message") == "delta"


def test_two_agents_of_a_domain_live_side_by_side(plane: Plane) -> None:
    streams = [SyncStream(plane.agent("bookings", f"bookings-{n}")) for n in (1, 2)]
    for stream in streams:
        stream.snapshot()
    plane.purpose()
    assert [stream.payload().WhichOneof("message") for stream in streams] == ["delta", "delta"]


QUICK = Leases({**DEFAULT_LEASES.lengths, Classification.RESTRICTED: timedelta(seconds=3)})


def test_leases_are_renewed_three_times_in_the_shortest(tmp_path: Path) -> None:
    with running(tmp_path / "state", leases=QUICK) as plane:
        stream = SyncStream(plane.agent())
        payload, _ = stream.snapshot()
        issued = [payload.issue_time.ToDatetime()]
        for _ in range(4):
            renewal = stream.payload()
            assert renewal.WhichOneof("message") is None
            assert renewal.revision == payload.revision
            issued.append(renewal.issue_time.ToDatetime())
        assert issued == sorted(set(issued))
        eventually(lambda: shown(plane).connected)
        stream.leave()


def test_leases_are_renewed_also_while_others_change_things_all_the_time(tmp_path: Path) -> None:
    with running(tmp_path / "state", leases=QUICK) as plane:
        stream = SyncStream(plane.agent())
        payload, _ = stream.snapshot()
        stop = threading.Event()

        def change() -> None:
            number = 0
            while not stop.wait(0.2):
                number += 1
                publish(plane, contract("planes", "fleet", f"1.{number}.0", purposes=()))

        other = threading.Thread(target=change)
        other.start()
        try:
            renewal = stream.payload()
        finally:
            stop.set()
            other.join()
        assert (renewal.WhichOneof("message"), renewal.revision) == (None, payload.revision)
        assert renewal.issue_time.ToDatetime() < payload.issue_time.ToDatetime() + 2 * SECOND
        stream.leave()


def test_a_question_is_answered_as_soon_as_nothing_up_to_it_is_missing(plane: Plane) -> None:
    stream = SyncStream(plane.agent())
    payload, _ = stream.snapshot()
    publish(plane, contract("planes", "fleet", purposes=()))
    foreign = plane.admin.status.GetStatus(status_pb2.GetStatusRequest()).revision
    stream.ask(foreign)
    answer = stream.payload()
    assert (answer.WhichOneof("message"), answer.revision) == (None, payload.revision)
    assert answer.complete_revision == foreign
    stream.ask(foreign + 1)
    publish(plane, contract("planes", "fleet", "2.0.0", purposes=()))
    later = stream.payload()
    assert (later.WhichOneof("message"), later.complete_revision) == (None, foreign + 1)
    stream.ask(foreign + 2)
    publish(plane, contract(purposes=()))
    change = stream.payload()
    assert (change.WhichOneof("message"), change.complete_revision) == ("delta", foreign + 2)


def test_questions_about_what_never_comes_hide_no_others(plane: Plane) -> None:
    stream = SyncStream(plane.agent())
    stream.snapshot()
    for number in range(200):
        stream.ask(10**15 + number)
    revision = plane.admin.status.GetStatus(status_pb2.GetStatusRequest()).revision
    stream.ask(revision + 1)
    publish(plane, contract("planes", "fleet", purposes=()))
    assert stream.payload().complete_revision == revision + 1


def test_a_large_snapshot_comes_in_parts_of_a_megabyte(plane: Plane) -> None:
    filler = "\n".join(f"# {'x' * 98}" for _ in range(4_900)).encode()
    for number in range(5):
        publish(plane, contract(f"large{number}", purposes=()) + filler)
    stream = SyncStream(plane.agent())
    payload = stream.payload()
    assert payload.snapshot.parts >= 3
    entries: dict[str, bytes] = {}
    for index in range(payload.snapshot.parts):
        part = next(stream.call).part
        assert part.index == index
        assert part.ByteSize() <= 1024 * 1024
        entries |= entries_from_proto(part.entries)
    assert entries_digest(entries) == payload.snapshot.digest
    assert sum(key.startswith("contract/large") for key in entries) == 5


def test_changes_of_another_process_are_noticed(tmp_path: Path) -> None:
    with running(tmp_path / "state") as plane:
        stream = SyncStream(plane.agent())
        payload, _ = stream.snapshot()
        engine = open_sqlite(tmp_path / "state" / "control.db")
        with Database(engine, lambda heads: None).writing() as tx:
            revision = timeline.record_change(
                tx,
                Change("purpose.added", "user:x", plane.clock(), "x", "x", distributed=True),
            )
        engine.dispose()
        delta = stream.payload()
        assert (delta.revision, delta.delta.previous_revision) == (revision, payload.revision)


def test_a_revision_reaches_many_agents_once_each(plane: Plane) -> None:
    agent = plane.agent()
    streams = [SyncStream(plane.agent("bookings", f"many-{n}")) for n in range(20)]
    for stream in streams:
        stream.snapshot()
    for number in range(3):
        plane.admin.purposes.AddPurpose(
            purposes_pb2.AddPurposeRequest(id=f"p-{number}", title="a purpose")
        )
    for stream in streams:
        revision = 0
        keys: list[str] = []
        while len(keys) < 3:
            delta = stream.payload()
            assert delta.revision > revision
            revision = delta.revision
            keys += [entry.key for entry in delta.delta.upserts]
        assert keys == ["purpose/p-0", "purpose/p-1", "purpose/p-2"]
    assert agent.token


def test_a_cancelled_stream_ends_its_handler(plane: Plane) -> None:
    stream = SyncStream(plane.agent())
    stream.snapshot()
    assert shown(plane).connected
    stream.call.cancel()
    eventually(lambda: not shown(plane).connected)
    eventually(lambda: plane.calls("Sync") == 0)


def test_a_stream_past_its_deadline_ends_its_handler(plane: Plane) -> None:
    stream = SyncStream(plane.agent(), seconds=3)
    stream.snapshot()
    with pytest.raises(grpc.RpcError) as ended:
        stream.payload()
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    eventually(lambda: not shown(plane).connected)
    eventually(lambda: plane.calls("Sync") == 0)


def test_an_agent_that_vanishes_ends_its_handler(plane: Plane) -> None:
    agent = plane.agent()
    with cut_off(plane.address) as (address, cut):
        client = Client(address, agent.token)
        stream = SyncStream(client)
        stream.snapshot()
        assert shown(plane).connected
        cut()
        eventually(lambda: not shown(plane).connected)
        eventually(lambda: plane.calls("Sync") == 0)
        client.channel.close()


def test_tails_end_when_cancelled_past_their_deadline_or_cut_off(plane: Plane) -> None:
    request = audit_pb2.TailEntriesRequest(cursor="0")
    cancelled = plane.admin.audit.TailEntries(request)
    next(iter(cancelled))
    assert plane.calls("TailEntries") == 1
    cancelled.cancel()
    eventually(lambda: plane.calls("TailEntries") == 0)
    late = plane.admin.audit.TailEntries(request, timeout=0.5)
    with pytest.raises(grpc.RpcError) as ended:
        list(late)
    assert ended.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    with cut_off(plane.address) as (address, cut):
        client = Client(address, plane.admin.token)
        vanished = client.audit.TailEntries(request)
        next(iter(vanished))
        eventually(lambda: plane.calls("TailEntries") == 1)
        cut()
        eventually(lambda: plane.calls("TailEntries") == 0)
        client.channel.close()


def test_a_stopping_control_plane_ends_its_streams_with_a_reason(tmp_path: Path) -> None:
    ended: list[MeshError] = []
    with running(tmp_path / "state") as plane:
        stream = SyncStream(plane.agent())
        stream.snapshot()
        plane.clients.clear()
        waiting = threading.Thread(target=lambda: ended.append(end_of(stream)))
        waiting.start()
    waiting.join()
    assert isinstance(ended[0], ControlUnavailable)
    with running(tmp_path / "state") as plane:
        assert not shown(plane).connected
