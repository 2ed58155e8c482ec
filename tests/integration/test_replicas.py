"""Two control planes on one database: what each tells the other, and whose agents are whose."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from control_plane.settings import SettingsInvalid
from mesh.errors import AgentSuperseded
from mesh.v1 import agents_pb2, agreements_pb2, audit_pb2, contracts_pb2, purposes_pb2, status_pb2
from mesh.wire.status import from_rpc_error
from mesh.wire.times import to_timestamp
from tests.unit.control_plane.documents import contract
from tests.unit.control_plane.running import Client, Plane, enrol, eventually, running
from tests.unit.control_plane.streams import SyncStream


@dataclass(frozen=True)
class Pair:
    """Two replicas and what they share."""

    one: Plane
    other: Plane
    database: str
    keys: Path

    def beside(self, token: str) -> Client:
        """A client of the other replica."""
        return self.other.client(token)


@pytest.fixture
def pair(tmp_path: Path, migrated_postgres: str) -> Iterator[Pair]:
    keys = tmp_path / "keys"
    with (
        running(tmp_path / "one", database=migrated_postgres, keys=keys) as one,
        running(tmp_path / "other", database=migrated_postgres, keys=keys) as other,
    ):
        yield Pair(one, other, migrated_postgres, keys)


def _publish() -> contracts_pb2.PublishContractRequest:
    return contracts_pb2.PublishContractRequest(document=contract())


def add_purpose(client: Client, purpose: str) -> None:
    client.purposes.AddPurpose(purposes_pb2.AddPurposeRequest(id=purpose, title="a purpose"))


def test_each_takes_the_others_tokens_and_sees_its_changes(pair: Pair) -> None:
    token = pair.one.admin.token
    add_purpose(pair.one.admin, "p-1")
    listed = pair.beside(token).purposes.ListPurposes(purposes_pb2.ListPurposesRequest())
    assert [purpose.id for purpose in listed.purposes] == ["p-1"]


def test_a_watcher_of_one_hears_the_other_at_once(pair: Pair) -> None:
    tail = pair.other.admin.audit.TailEntries(audit_pb2.TailEntriesRequest(cursor="0"), timeout=60)
    waits = []
    for number in range(10):
        began = time.monotonic()
        add_purpose(pair.one.admin, f"p-{number}")
        while next(tail).entry.reference != f"p-{number}":
            pass
        waits.append(time.monotonic() - began)
    # Without notices the wait is up to a second, half of one in the middle.
    assert sorted(waits)[5] < 0.3
    print(
        f"a change is heard by the other replica's watcher after {sorted(waits)[5] * 1000:.0f} ms"
    )


def test_sixteen_writers_at_two_replicas_leave_a_watcher_no_gap(pair: Pair) -> None:
    token = pair.one.admin.token
    start = pair.one.admin.status.GetStatus(status_pb2.GetStatusRequest()).revision
    tail = pair.other.admin.audit.TailEntries(audit_pb2.TailEntriesRequest(cursor="0"), timeout=120)
    clients = [plane.client(token) for plane in (pair.one, pair.other) for _ in range(8)]

    def write(writer: int) -> None:
        for number in range(10):
            add_purpose(clients[writer], f"p-{writer}-{number}")

    with ThreadPoolExecutor(16) as pool:
        writing = [pool.submit(write, writer) for writer in range(16)]
        seen = [next(tail).entry for _ in range(start + 160)]
        for done in writing:
            done.result()
    tail.cancel()
    assert [int(entry.cursor) for entry in seen] == list(range(1, start + 161))
    assert [entry.revision for entry in seen] == list(range(1, start + 161))


def test_an_agent_is_told_by_its_replica_what_the_other_changed(pair: Pair) -> None:
    stream = SyncStream(pair.one.agent())
    first, _ = stream.snapshot()
    add_purpose(pair.beside(pair.one.admin.token), "p-1")
    assert stream.payload().delta.previous_revision == first.revision
    stream.leave()


def agent_of(plane: Plane) -> agents_pb2.Agent:
    request = agents_pb2.GetAgentRequest(domain="bookings", id="bookings-1")
    return plane.admin.agents.GetAgent(request).agent


def test_another_replicas_start_and_stop_leave_an_agent_connected(
    pair: Pair, tmp_path: Path
) -> None:
    stream = SyncStream(pair.one.agent())
    stream.snapshot()
    with running(tmp_path / "third", database=pair.database, keys=pair.keys) as third:
        assert agent_of(third).connected
    assert agent_of(pair.other).connected
    add_purpose(pair.other.admin, "p-1")
    assert stream.payload().WhichOneof("message") == "delta"
    stream.leave()
    eventually(lambda: not agent_of(pair.other).connected)


def test_an_agent_that_connects_to_the_other_ends_its_older_stream(pair: Pair) -> None:
    key = Ed25519PrivateKey.generate()
    client = pair.one.agent(key=key)
    older = SyncStream(client)
    older.snapshot()
    newer = SyncStream(pair.beside(client.token))
    newer.snapshot()
    with pytest.raises(grpc.RpcError) as ended:
        next(older.call)
    assert isinstance(from_rpc_error(ended.value, ""), AgentSuperseded)
    assert agent_of(pair.one).connected
    newer.leave()


def test_a_join_token_of_one_enrols_at_the_other_once(pair: Pair) -> None:
    request = agents_pb2.CreateJoinTokenRequest(domain="bookings")
    token = pair.one.admin.agents.CreateJoinToken(request).token
    key = Ed25519PrivateKey.generate()
    replies = [
        enrol(plane, "bookings", "bookings-1", key, token) for plane in (pair.one, pair.other)
    ]
    assert replies[0] == replies[1]


def test_both_expire_an_agreement_once(pair: Pair) -> None:
    one = pair.one
    one.purpose()
    one.admin.contracts.PublishContract(_publish())
    ana = one.user("ana")
    now = one.clock()
    agreement = ana.agreements.RequestAgreement(
        agreements_pb2.RequestAgreementRequest(
            domain="bookings",
            product="reservations",
            role="analyst",
            purpose="crew-planning",
            justification="a test",
            request_id="r-1",
            expire_time=to_timestamp(now + timedelta(hours=1)),
        )
    ).agreement
    olga = one.user("olga", duties=("owner:bookings",))
    pair.beside(olga.token).agreements.ApproveAgreement(
        agreements_pb2.ApproveAgreementRequest(id=agreement.id)
    )
    for plane in (pair.one, pair.other):
        plane.clock.ahead = timedelta(hours=2)
    admin = pair.other.client((pair.other.state / "admin.token").read_text().strip())

    def expired() -> list[audit_pb2.Entry]:
        listed = admin.audit.ListEntries(audit_pb2.ListEntriesRequest(kind="change", page_size=500))
        return [entry for entry in listed.entries if entry.action == "agreement.expired"]

    eventually(expired)
    revision = admin.status.GetStatus(status_pb2.GetStatusRequest()).revision
    add_purpose(admin, "later")
    eventually(lambda: admin.status.GetStatus(status_pb2.GetStatusRequest()).revision > revision)
    assert len(expired()) == 1


def test_the_same_request_at_both_makes_one_agreement(pair: Pair) -> None:
    pair.one.purpose()
    pair.one.admin.contracts.PublishContract(_publish())
    ana = pair.one.user("ana")
    request = agreements_pb2.RequestAgreementRequest(
        domain="bookings",
        product="reservations",
        role="analyst",
        purpose="crew-planning",
        justification="a test",
        request_id="r-1",
    )
    clients = [plane.client(ana.token) for plane in (pair.one, pair.other) for _ in range(4)]
    with ThreadPoolExecutor(8) as pool:
        made = pool.map(lambda client: client.agreements.RequestAgreement(request), clients)
        assert len({answer.agreement.id for answer in made}) == 1


def test_a_replica_with_other_keys_is_refused(pair: Pair, tmp_path: Path) -> None:
    with (
        pytest.raises(SettingsInvalid, match="same key files"),
        running(tmp_path / "third", database=pair.database),
    ):
        raise AssertionError("it serves")
    assert agent_count(pair.one) == 0


def agent_count(plane: Plane) -> int:
    return plane.admin.status.GetStatus(status_pb2.GetStatusRequest()).agents
