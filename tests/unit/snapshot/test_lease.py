"""A lease ends by itself; no setting of clocks makes it longer."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_agent.snapshot.lease import Lease
from domain_agent.spool.files import Files
from mesh.errors import AgentLeaseExpired
from tests.unit.snapshot.scenes import LEASE, NOW, SetClock

SECOND = timedelta(seconds=1)


def lease(folder: Path, clock: SetClock) -> Lease:
    return Lease(clock, folder / "time", Files())


def runs(checked: Lease) -> bool:
    try:
        checked.require()
    except AgentLeaseExpired:
        return False
    return True


def test_without_a_renewal_there_is_no_lease(tmp_path: Path) -> None:
    with pytest.raises(AgentLeaseExpired):
        lease(tmp_path, SetClock()).require()


def test_a_lease_runs_from_its_issue_and_ends_to_the_second(tmp_path: Path) -> None:
    clock = SetClock()
    held = lease(tmp_path, clock)
    held.renew(NOW - timedelta(minutes=1), LEASE)
    clock.advance(timedelta(minutes=4) - SECOND)
    assert runs(held)
    clock.advance(SECOND)
    assert not runs(held)


def test_an_older_renewal_changes_nothing(tmp_path: Path) -> None:
    clock = SetClock()
    held = lease(tmp_path, clock)
    held.renew(NOW, LEASE)
    held.renew(NOW - SECOND, timedelta(days=365))
    clock.advance(LEASE)
    assert not runs(held)


@given(
    steps=st.lists(
        st.tuples(st.integers(0, 120), st.integers(-10_000_000, 10_000_000), st.booleans()),
        max_size=12,
    )
)
def test_wall_clock_jumps_and_restarts_never_lengthen_a_lease(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    folder = tmp_path_factory.mktemp("lease")
    clock = SetClock()
    held = lease(folder, clock)
    held.renew(NOW, LEASE)
    held.keep_time()
    really = timedelta(0)
    for seconds, jump, restart in steps:
        step = timedelta(seconds=seconds)
        really += step
        clock.advance(step)
        held.keep_time()
        clock.wall += timedelta(seconds=jump)
        if restart:
            clock.seconds = 5.0
            held = lease(folder, clock)
            held.renew(NOW, LEASE)
        if really >= LEASE:
            assert not runs(held)


def test_a_control_plane_ahead_of_the_agent_gives_no_longer_lease(tmp_path: Path) -> None:
    clock = SetClock()
    held = lease(tmp_path, clock)
    held.renew(NOW + timedelta(hours=2), LEASE)
    assert runs(held)
    clock.advance(LEASE)
    assert not runs(held)
