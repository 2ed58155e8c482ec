"""A lease ends by itself, for each classification; no setting of clocks makes one longer."""

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_agent.snapshot.lease import Lease
from domain_agent.spool.files import Files
from mesh.contracts.values import Classification
from mesh.errors import AgentLeaseExpired
from mesh.leases import Leases
from tests.unit.snapshot.scenes import LEASES, NOW, SetClock

SECOND = timedelta(seconds=1)
LONGER = Leases(dict.fromkeys(Classification, timedelta(days=365)))
LENGTHS = st.integers(0, 1_000).map(lambda seconds: timedelta(seconds=seconds))
each_class = pytest.mark.parametrize("classification", list(Classification))


def lease(folder: Path, clock: SetClock) -> Lease:
    return Lease(clock, folder / "time", Files())


def runs(checked: Lease, classification: Classification) -> bool:
    try:
        return checked.remaining(classification) > timedelta()
    except AgentLeaseExpired:
        return False


@each_class
def test_without_a_renewal_there_is_no_lease(
    tmp_path: Path, classification: Classification
) -> None:
    with pytest.raises(AgentLeaseExpired) as refused:
        lease(tmp_path, SetClock()).remaining(classification)
    assert refused.value.metadata == {"classification": classification.value}


@each_class
def test_a_lease_runs_from_its_issue_and_ends_to_the_second(
    tmp_path: Path, classification: Classification
) -> None:
    clock = SetClock()
    held = lease(tmp_path, clock)
    held.renew(NOW - timedelta(minutes=1), LEASES)
    clock.advance(LEASES[classification] - timedelta(minutes=1) - SECOND)
    assert held.remaining(classification) == SECOND
    clock.advance(SECOND)
    with pytest.raises(AgentLeaseExpired) as refused:
        held.remaining(classification)
    assert refused.value.metadata["classification"] == classification.value
    assert refused.value.metadata["since"] == f"{clock.wall:%Y-%m-%dT%H:%M:%SZ}"


def test_the_strictest_ends_first_and_the_mildest_last(tmp_path: Path) -> None:
    clock = SetClock()
    held = lease(tmp_path, clock)
    held.renew(NOW, LEASES)
    left = list(Classification)
    while left:
        assert [one for one in Classification if runs(held, one)] == left
        clock.wall, clock.seconds = NOW, 1_000.0
        clock.advance(LEASES[left.pop()])
    assert not any(runs(held, one) for one in Classification)


@given(
    lengths=st.dictionaries(st.sampled_from(list(Classification)), LENGTHS),
    later=LENGTHS,
)
def test_what_is_strict_is_never_served_longer_and_what_is_not_stated_never(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: dict[Classification, timedelta],
    later: timedelta,
) -> None:
    clock = SetClock()
    held = lease(tmp_path_factory.mktemp("lease"), clock)
    held.renew(NOW, Leases(lengths))
    clock.advance(later)
    allowed = [runs(held, one) for one in Classification]
    assert allowed == sorted(allowed, reverse=True)
    for one, may in zip(Classification, allowed, strict=True):
        assert not may or lengths.get(one, timedelta()) > later


@each_class
def test_an_older_renewal_changes_nothing(tmp_path: Path, classification: Classification) -> None:
    clock = SetClock()
    held = lease(tmp_path, clock)
    held.renew(NOW, LEASES)
    held.renew(NOW - SECOND, LONGER)
    clock.advance(LEASES[classification])
    assert not runs(held, classification)


@given(
    steps=st.lists(
        st.tuples(st.floats(0, 0.5), st.integers(-10_000_000, 10_000_000), st.booleans()),
        max_size=12,
    ),
    classification=st.sampled_from(list(Classification)),
)
def test_wall_clock_jumps_and_restarts_never_lengthen_a_lease(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[tuple[float, int, bool]],
    classification: Classification,
) -> None:
    folder = tmp_path_factory.mktemp("lease")
    clock = SetClock()
    held = lease(folder, clock)
    held.renew(NOW, LEASES)
    held.keep_time()
    really, length = timedelta(0), LEASES[classification]
    for part, jump, restart in steps:
        step = part * length
        really += step
        clock.advance(step)
        held.keep_time()
        clock.wall += timedelta(seconds=jump)
        if restart:
            clock.seconds = 5.0
            held = lease(folder, clock)
            held.renew(NOW, LEASES)
        if really >= length:
            assert not runs(held, classification)


@each_class
def test_a_control_plane_ahead_of_the_agent_gives_no_longer_lease(
    tmp_path: Path, classification: Classification
) -> None:
    clock = SetClock()
    held = lease(tmp_path, clock)
    held.renew(NOW + timedelta(days=30), LEASES)
    assert runs(held, classification)
    clock.advance(LEASES[classification])
    assert not runs(held, classification)
