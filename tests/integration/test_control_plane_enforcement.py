"""Who enforces an agreement's end, by when the others refuse, and what that took at worst."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.contracts.values import Classification
from mesh.leases import DEFAULT_LEASES, Leases
from mesh.v1 import agents_pb2, agreements_pb2, contracts_pb2, status_pb2
from tests.unit.control_plane.documents import contract
from tests.unit.control_plane.running import Plane, eventually, running
from tests.unit.control_plane.streams import SyncStream

INTERNAL = DEFAULT_LEASES[Classification.INTERNAL]
SHORTEST = DEFAULT_LEASES.shortest


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with running(tmp_path / "state") as plane:
        plane.purpose()
        publish(plane, contract())
        yield plane


def publish(plane: Plane, document: bytes) -> None:
    plane.admin.contracts.PublishContract(contracts_pb2.PublishContractRequest(document=document))


def agreed(plane: Plane) -> str:
    """An active agreement for both datasets, which are internal; its id."""
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
    return str(asked.id)


def revoke(plane: Plane, agreement: str) -> agreements_pb2.Agreement:
    request = agreements_pb2.RevokeAgreementRequest(id=agreement)
    return plane.user("olga").agreements.RevokeAgreement(request).agreement


def enforcements(plane: Plane, agreement: str) -> dict[str, agreements_pb2.Enforcement]:
    request = agreements_pb2.GetAgreementRequest(id=agreement)
    found = plane.admin.agreements.GetAgreement(request).enforcements
    return {one.agent: one for one in found}


def enforced(plane: Plane, agreement: str) -> list[str]:
    return sorted(name for name, one in enforcements(plane, agreement).items() if one.enforced)


def follow(stream: SyncStream) -> None:
    """Take the next change and acknowledge it."""
    delta = stream.payload()
    stream.acknowledge(delta.revision, delta.delta.digest)


def await_acknowledged(plane: Plane, revision: int) -> None:
    name = agents_pb2.GetAgentRequest(domain="bookings", id="bookings-1")
    admin = plane.admin
    eventually(lambda: admin.agents.GetAgent(name).agent.acknowledged_revision == revision)


def instant(stamp: Timestamp) -> datetime:
    return stamp.ToDatetime(tzinfo=UTC)


def test_each_agent_of_the_domain_enforces_it_once_it_has_acknowledged(plane: Plane) -> None:
    agreement = agreed(plane)
    streams = [SyncStream(plane.agent("bookings", f"bookings-{n}")) for n in (1, 2)]
    SyncStream(plane.agent("fleet", "fleet-1")).snapshot()
    for stream in streams:
        payload, _ = stream.snapshot()
        stream.acknowledge(payload.revision, payload.snapshot.digest)
    revoked = revoke(plane, agreement)
    assert set(enforcements(plane, agreement)) == {"bookings/bookings-1", "bookings/bookings-2"}
    assert enforced(plane, agreement) == []
    follow(streams[1])
    eventually(lambda: enforced(plane, agreement) == ["bookings/bookings-2"])
    follow(streams[0])
    eventually(lambda: len(enforced(plane, agreement)) == 2)
    for one in enforcements(plane, agreement).values():
        assert instant(one.acknowledge_time) >= instant(revoked.end_time)


def test_an_agent_that_never_had_a_lease_serves_nothing(plane: Plane) -> None:
    agreement = agreed(plane)
    plane.agent()
    revoke(plane, agreement)
    (one,) = enforcements(plane, agreement).values()
    assert one.enforced
    assert not one.HasField("acknowledge_time")
    assert not one.HasField("lease_end_time")


def test_an_agent_that_is_away_enforces_it_when_its_lease_ends(plane: Plane) -> None:
    publish(plane, contract(version="2.0.0").replace(b"internal", b"confidential"))
    length = DEFAULT_LEASES[Classification.CONFIDENTIAL]
    agreement = agreed(plane)
    stream = SyncStream(plane.agent())
    payload, _ = stream.snapshot()
    stream.acknowledge(payload.revision, payload.snapshot.digest)
    await_acknowledged(plane, payload.revision)
    stream.call.cancel()
    revoke(plane, agreement)
    (one,) = enforcements(plane, agreement).values()
    assert not one.enforced
    end = instant(one.lease_end_time)
    issued = instant(payload.issue_time)
    # It may have been given a lease as long as its stream counted as open, and no later.
    assert issued + length <= end <= issued + length + SHORTEST
    plane.clock.ahead = end - datetime.now(UTC) - timedelta(seconds=30)
    assert enforced(plane, agreement) == []
    plane.clock.ahead += timedelta(seconds=31)
    assert enforced(plane, agreement) == ["bookings/bookings-1"]


def test_a_deadline_is_the_mildest_datasets_by_any_contract_that_the_agent_may_have(
    plane: Plane,
) -> None:
    agreement = agreed(plane)
    agent = plane.agent()
    stream = SyncStream(agent)
    payload, _ = stream.snapshot()
    stream.acknowledge(payload.revision, payload.snapshot.digest)
    await_acknowledged(plane, payload.revision)
    stream.call.cancel()
    stricter = contract(version="2.0.0").replace(b"internal", b"restricted")
    publish(plane, stricter)
    revoke(plane, agreement)
    issued = instant(payload.issue_time)
    (one,) = enforcements(plane, agreement).values()
    assert instant(one.lease_end_time) >= issued + INTERNAL
    again = SyncStream(agent, acknowledged=payload.revision)
    newer, _ = again.snapshot()
    again.acknowledge(newer.revision, newer.snapshot.digest)
    eventually(lambda: enforced(plane, agreement))
    (one,) = enforcements(plane, agreement).values()
    longest = instant(newer.issue_time) + 2 * SHORTEST
    assert instant(one.lease_end_time) <= longest


def test_who_refuses_what_they_are_sent_gets_no_longer_lease_by_trying(plane: Plane) -> None:
    agreement = agreed(plane)
    agent = plane.agent()
    first = SyncStream(agent)
    payload, _ = first.snapshot()
    first.acknowledge(payload.revision, payload.snapshot.digest)
    await_acknowledged(plane, payload.revision)
    revoked = revoke(plane, agreement)
    (before,) = enforcements(plane, agreement).values()
    for minutes in (1, 2, 3):
        plane.clock.ahead = timedelta(minutes=minutes)
        trying = SyncStream(agent)
        again, _ = trying.snapshot()
        assert again.revision == revoked.revision
        trying.refuse(revoked.revision, "policy.invalid")
        trying.snapshot()  # everything anew, once
        trying.call.cancel()
        (after,) = enforcements(plane, agreement).values()
        assert after == before


def test_leases_that_were_made_shorter_still_count_as_long_as_they_may_be_held(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    with running(state) as plane:
        plane.purpose()
        publish(plane, contract())
        agreement = agreed(plane)
        agent = plane.agent()
        payload, _ = SyncStream(agent).snapshot()
        token = agent.token
    hour = timedelta(hours=1)
    shorter = Leases({**DEFAULT_LEASES.lengths, Classification.INTERNAL: hour})
    with running(state, leases=shorter) as plane:
        revoke(plane, agreement)
        SyncStream(plane.client(token)).snapshot()
        (one,) = enforcements(plane, agreement).values()
        assert instant(one.lease_end_time) >= instant(payload.issue_time) + INTERNAL


def test_what_enforcement_took_is_measured_with_connected_agents_alone(plane: Plane) -> None:
    def slowest() -> dict[str, tuple[float, int]]:
        status = plane.admin.status.GetStatus(status_pb2.GetStatusRequest())
        return {
            one.classification: (one.slowest.ToTimedelta().total_seconds(), one.changes)
            for one in status.deadlines
            if one.HasField("slowest")
        }

    agreement = agreed(plane)
    agent = plane.agent()
    stream = SyncStream(agent)
    payload, _ = stream.snapshot()
    stream.acknowledge(payload.revision, payload.snapshot.digest)
    await_acknowledged(plane, payload.revision)
    assert slowest() == {}
    revoke(plane, agreement)
    change = stream.payload()
    plane.clock.ahead = timedelta(seconds=40)
    stream.acknowledge(change.revision, change.delta.digest)
    eventually(slowest)
    ((classification, (seconds, changes)),) = slowest().items()
    assert (classification, changes) == ("internal", 1)
    assert 40 <= seconds < 80
    plane.purpose("delay-analysis")
    follow(stream)
    eventually(lambda: len(slowest()) == 4)
    assert slowest()["internal"] == (seconds, 2)
    assert {found[1] for name_, found in slowest().items() if name_ != "internal"} == {1}
