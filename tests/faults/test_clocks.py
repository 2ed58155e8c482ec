"""R9: the wall clock is wrong or jumps; tokens, leases and the order of evidence stand."""

import random
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain_agent.control.link import AgentIdentity, Link
from domain_agent.snapshot.lease import Lease
from domain_agent.spool.event_log import EventLog
from domain_agent.spool.files import Files
from domain_agent.spool.spool import Spool, SpoolLimits
from mesh.contracts.values import Classification
from mesh.errors import AgentLeaseExpired, TokenExpired, TokenInvalid
from mesh.evidence.canonical import canonical_fields
from mesh.evidence.events import EventType, UsageEvent
from mesh.identity.principal import Principal, PrincipalKind, domain_audience
from mesh.identity.tokens import ISSUER, TokenIssuer, TokenKey, TokenVerifier
from mesh.leases import DEFAULT_LEASES
from tests.faults.stage import Stage, staged
from tests.faults.tally import SCALE, Scale, Trial
from tests.faults.watching import watched

FAULT = "the agent's wall clock is 5 min or 24 h wrong, or jumps by that, back too"
START = datetime(2026, 11, 24, 22, tzinfo=UTC)
SKEWS = [timedelta(minutes=sign * size) for size in (5, 24 * 60) for sign in (1, -1)]
LEEWAY = timedelta(seconds=60)
LEASES = DEFAULT_LEASES
AUDIENCE = domain_audience("bookings")
Opened = Callable[[str, str], Trial]


class Clocks:
    """A wall clock that can be set, and one that can't; `true` is the time as it is."""

    def __init__(self) -> None:
        self.true, self.skew = START, timedelta()

    def now(self) -> datetime:
        return self.true + self.skew

    def elapsed(self) -> float:
        return (self.true - START).total_seconds()


@pytest.fixture
def clocks() -> Clocks:
    return Clocks()


def times(scale: Scale) -> Iterator[tuple[timedelta, random.Random]]:
    """Each skew, often, with a series of its own."""
    for skew in SKEWS:
        for number in range(scale.of(40, 10)):
            yield skew, random.Random(f"{skew} {number}")  # noqa: S311 - a seeded series


def test_a_token_is_good_for_its_time_and_sixty_seconds_whatever_the_clock_does(
    clocks: Clocks, scale: Scale, trial: Opened
) -> None:
    row = trial("R9", FAULT)
    key = Ed25519PrivateKey.generate()
    public = TokenKey("t1", ISSUER, key.public_key().public_bytes_raw())
    issuer = TokenIssuer("t1", key)

    class Keys:
        def token_key(self, key_id: str) -> TokenKey | None:
            return public if key_id == "t1" else None

    for skew, rng in times(scale):
        clocks.skew = timedelta()
        verifier = TokenVerifier(AUDIENCE, Keys(), clocks.now)
        issued = clocks.true
        ends = issued + timedelta(seconds=rng.choice((30, 300, 3_600, 86_400)))
        ana = Principal(PrincipalKind.USER, "ana")
        token = issuer.issue(ana, AUDIENCE, str(uuid.uuid4()), issued, ends)
        if rng.random() < 0.5:
            assert verifier.verify(token).principal == ana  # and it is remembered
        clocks.skew = skew + timedelta(seconds=rng.uniform(-90, 90))
        good = False
        try:
            verifier.verify(token)
            good = True
        except TokenExpired:
            assert clocks.now() > ends
        except TokenInvalid:
            assert clocks.now() < issued - LEEWAY + timedelta(seconds=1)
        assert not good or clocks.now() <= ends + LEEWAY
        row.count("tokens taken" if good else "tokens refused")
        row.tried += 1


def test_no_setting_of_the_clock_makes_a_lease_longer(
    tmp_path: Path, clocks: Clocks, scale: Scale, trial: Opened
) -> None:
    row = trial("R9", FAULT)
    for number, (skew, rng) in enumerate(times(scale)):
        clocks.true, clocks.skew = START, timedelta()
        lease = Lease(clocks, tmp_path / f"time-{number}", Files())
        issued = clocks.true
        lease.renew(issued, LEASES)
        lease.keep_time()
        classification = rng.choice(list(Classification))
        length = LEASES[classification]
        while clocks.true < issued + 2 * length:
            clocks.true += length * rng.uniform(0.003, 0.13)
            clocks.skew = rng.choice((timedelta(), skew, -skew, 2 * skew))
            lease.keep_time()
            try:
                lease.remaining(classification)
                assert clocks.true < issued + length, "it ran longer than it was signed for"
            except AgentLeaseExpired:
                row.count(f"leases refused: {classification}")
            if rng.random() < 0.2:
                # A restart; what was kept and the clock is all that it knows.
                lease = Lease(clocks, tmp_path / f"time-{number}", Files())
                lease.renew(issued, LEASES)
        row.tried += 1


@pytest.mark.parametrize("classification", list(Classification))
def test_a_time_that_was_kept_ahead_refuses_until_it_is_removed(
    tmp_path: Path, clocks: Clocks, classification: Classification
) -> None:
    clocks.skew = LEASES[classification]
    kept = tmp_path / "time"
    Lease(clocks, kept, Files()).keep_time()
    clocks.skew = timedelta()
    for _ in range(3):
        lease = Lease(clocks, kept, Files())
        lease.renew(clocks.true, LEASES)
        with pytest.raises(AgentLeaseExpired):
            lease.remaining(classification)
        clocks.true += LEASES[classification]
        lease.keep_time()
    kept.unlink()
    lease = Lease(clocks, kept, Files())
    lease.renew(clocks.true, LEASES)
    assert lease.remaining(classification) == LEASES[classification]


def test_events_are_ordered_by_sequence_whatever_their_times(
    tmp_path: Path, clocks: Clocks, scale: Scale, trial: Opened
) -> None:
    row = trial("R9", FAULT)
    spool = Spool(tmp_path / "spool", Files(), SpoolLimits(segment=20_000))
    log = EventLog("/agents/bookings/bookings-1", spool, clocks.now, bytes)
    written = []
    for skew, _ in times(scale):
        clocks.true += timedelta(seconds=1)
        clocks.skew = skew
        written.append(log.write(EventType.REFUSED, canonical_fields({})))
        row.tried += 1
    events: list[UsageEvent] = []
    while more := spool.read_after(len(events), 100_000):
        events += more
    assert [event.receipt for event in events] == written
    assert [event.sequence for event in events] == list(range(1, len(written) + 1))
    assert any(after.time < before.time for before, after in pairwise(events))


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as found:
        yield found


def test_an_agent_whose_clock_was_ahead_makes_a_new_token_when_it_is_right(clocks: Clocks) -> None:
    identity = AgentIdentity("bookings", "bookings-1", Ed25519PrivateKey.generate())
    link = Link("127.0.0.1:1", identity, clocks, None)
    try:
        for skew in SKEWS:
            clocks.skew = skew
            made = link.metadata
            clocks.skew = timedelta()
            assert link.metadata != made, f"{skew} ahead, and the token is kept"
    finally:
        link.close()


def test_an_agent_whose_clock_is_set_refuses_what_it_can_not_know_and_serves_when_it_is_right(
    stage: Stage, tmp_path: Path, trial: Opened
) -> None:
    row, rng = trial("R9", FAULT), random.Random(9)  # noqa: S311 - a seeded series
    clock = tmp_path / "clock"
    set_clock(clock, 0)
    # Ahead, tokens are too old; behind, agreements have not begun.
    reason = {True: "token.expired", False: "agreement.missing"}
    expected = frozenset({"token.expired", "token.invalid"})
    with watched(stage, extra=("--clock", str(clock)), expected=expected) as agent:
        for _ in range(SCALE.of(10, 1)):
            for skew in SKEWS:
                agent.serves_again()
                set_clock(clock, skew.total_seconds())
                if skew == timedelta(minutes=5):
                    # Tokens are good for an hour, and the lease does not follow the clock.
                    agent.serves_again()
                else:
                    agent.each_is_refused(reason[skew > timedelta()])
                set_clock(clock, rng.uniform(0, 50))
                row.took("served again when the clock is right", agent.serves_again())
                row.tried += 1
        for told in sorted(expected | set(reason.values())):
            row.count(f"reads refused: {told}", agent.refused(told))
        agent.settle()
        row.count("streams noted by clients", len(agent.ledger.clients))


def set_clock(file: Path, seconds: float) -> None:
    """Set the agent's clock, in one step."""
    new = file.with_suffix(".set")
    new.write_text(str(seconds))
    new.replace(file)
