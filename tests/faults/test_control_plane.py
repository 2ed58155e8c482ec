"""R7 and R8: the control plane is killed, or somebody is frozen or half-open."""

import random
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

import pytest

from examples.airline.processes import equal_leases
from mesh.evidence.events import EventType
from tests.e2e.town import wait_until
from tests.faults.short_lease import (
    Asking,
    Plane,
    enforced_revisions,
    insist,
    short_leased,
)
from tests.faults.stage import Sizes
from tests.faults.tally import Scale, Trial
from tests.faults.watching import Watched, watched

AWAY = "control plane killed: for longer than a short lease, agent too or not; amid appends"
FROZEN = "SIGSTOP of control plane, agent and broker, and half-open connections between them"
EXPIRED = "agent.lease_expired"
EXPECTED = frozenset({EXPIRED, "agent.not_ready"})
# Evidence of all that is read while nobody takes it.
ROOMY = Sizes(quota=1 << 28)
Opened = Callable[[str, str], Trial]


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory, scale: Scale) -> Iterator[Plane]:
    with short_leased(tmp_path_factory.mktemp("lease"), equal_leases(scale.of(8, 4))) as found:
        yield found


def served_no_more(agent: Watched) -> None:
    """For a while nothing is served; what streams when a lease ends may end first."""
    agent.each_is_refused(EXPIRED)
    before = agent.served
    agent.each_is_refused(EXPIRED)
    assert agent.served == before


def arrived(plane: Plane, agent: Watched, row: Trial) -> None:
    """Evidence, heads and keys of it are at the control plane, all and right."""
    row.count("reads refused after the lease", agent.refused(EXPIRED))
    agent.settle()
    row.count("streams noted by clients", len(agent.ledger.clients))
    ledger = agent.ledger
    told = {one.key for one in ledger.records.values() if one.type is EventType.KEY_CREATED}
    wait_until(lambda: told <= plane.keys(), "principals' keys have arrived", 60.0)
    wait_until(lambda: plane.witnessed() == ledger.stored, "the last head is witnessed", 60.0)


def test_without_its_control_plane_an_agent_serves_until_its_lease_ends(
    plane: Plane, scale: Scale, trial: Opened
) -> None:
    row = trial("R7", AWAY)
    if scale.full:
        _stay_alone(plane, 10, row)
    for number in range(scale.of(10, 1)):
        _restart_alone(plane, plane.stage.token(f"restarted-{number}"), row)


def _stay_alone(plane: Plane, times: int, row: Trial) -> None:
    """Kill the control plane for longer than the lease, again and again; the agent stays up."""
    with watched(plane.stage, expected=EXPECTED, sizes=ROOMY) as agent:
        for number in range(times):
            newcomer = plane.stage.token(f"newcomer-{number}")
            agent.serves_again()
            plane.kill()
            killed = time.monotonic()
            assert Asking(agent.uri, newcomer).once() == "served"
            agent.each_is_refused(EXPIRED)
            row.took("served after the kill", time.monotonic() - killed)
            assert time.monotonic() - killed < plane.lease + 5.0
            served_no_more(agent)
            plane.start()
            row.took("served again, without a restart", agent.serves_again())
            row.tried += 1
        arrived(plane, agent, row)


def _restart_alone(plane: Plane, newcomer: str, row: Trial) -> None:
    """Kill control plane and agent; the agent starts by itself, and its lease is no longer."""
    stage = plane.stage
    with watched(stage, users=1, expected=EXPECTED, sizes=ROOMY) as agent:
        agent.serves_again()
        plane.kill()
        killed = time.monotonic()
        assert stage.agent is not None
        stage.agent.process.kill()
    with watched(stage, users=1, expected=EXPECTED, sizes=ROOMY) as agent:
        if Asking(agent.uri, newcomer).once() == "served":
            assert time.monotonic() - killed < plane.lease + 5.0
            row.count("restarts that served by the lease of before")
        served_no_more(agent)
        plane.start()
        row.took("served again, without a restart", agent.serves_again())
        arrived(plane, agent, row)
    row.tried += 1


@contextmanager
def frozen_agent(plane: Plane, _: random.Random) -> Iterator[None]:
    """SIGSTOP of the agent."""
    assert plane.stage.agent is not None
    process = plane.stage.agent.process
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextmanager
def half_open(plane: Plane, rng: random.Random) -> Iterator[None]:
    """Nothing goes through between agent and control plane; afterwards the connection is dead."""
    plane.proxy.hold()
    try:
        yield
    finally:
        plane.proxy.release(lost=rng.random() < 0.5)


@contextmanager
def frozen_plane(plane: Plane, _: random.Random) -> Iterator[None]:
    """SIGSTOP of the control plane."""
    with plane.frozen():
        yield


_Fault = Callable[[Plane, random.Random], AbstractContextManager[None]]
_NAMES: Mapping[_Fault, str] = {
    frozen_plane: "times the control plane was frozen",
    frozen_agent: "times the agent was frozen",
    half_open: "half-open connections",
}
FAULTS = tuple(_NAMES)
_SECONDS = (0.3, 1.5, 4.0)


def test_who_was_frozen_never_goes_back_to_what_is_revoked(
    plane: Plane, scale: Scale, trial: Opened
) -> None:
    row, stage = trial("R8", FROZEN), plane.stage
    rng = random.Random(8)  # noqa: S311 - a seeded series
    with watched(stage, users=1, expected=EXPECTED, sizes=ROOMY) as agent:
        for number in range(scale.of(48, 3)):
            seconds = rng.choice(_SECONDS) if number % 16 != 15 else 2 * plane.lease
            _revoke_amid(plane, agent, FAULTS[number % 3], min(seconds, scale.of(20, 1)), row)
        if scale.full:
            # Longer than keepalive takes to find a connection dead.
            for fault in (frozen_plane, half_open):
                _revoke_amid(plane, agent, fault, 45.0, row)
        arrived(plane, agent, row)
    revisions = enforced_revisions(stage)
    assert revisions == sorted(revisions)
    row.count("revisions put in force, in order", len(revisions))
    row.count("reads served after the agent refused them", 0)


def _revoke_amid(
    plane: Plane,
    agent: Watched,
    fault: _Fault,
    seconds: float,
    row: Trial,
) -> None:
    """Freeze, revoke when it can be, and see it enforced for good."""
    name = f"lone-{row.id}-{row.tried}"
    stage, user = plane.stage, Asking(agent.uri, plane.stage.token(name))
    agreements: list[str] = []
    insist(lambda: agreements.append(stage.agree(f"user:{name}", name)))
    user.until("served")
    rng = random.Random(row.tried)  # noqa: S311 - a seeded series
    with fault(plane, rng):
        if fault is not frozen_plane:
            stage.revoke(agreements[-1])
        time.sleep(seconds)
    ended = time.monotonic()
    if fault is frozen_plane:
        insist(lambda: stage.revoke(agreements[-1]))
    user.until("agreement.revoked")
    row.took("from the end of the fault to the revocation's enforcement", time.monotonic() - ended)
    assert {user.once() for _ in range(3)} <= {"agreement.revoked", EXPIRED}
    row.tried += 1
    row.count(_NAMES[fault])
