"""Which leases an agent may hold: never less than it was given, whatever was given when."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from control_plane.agents.rules import AgentReport, EnrolledAgent, Given, with_leases
from mesh.contracts.values import Classification
from mesh.leases import Leases
from tests.unit.snapshot.scenes import NOW

SECONDS = st.integers(0, 1_000).map(lambda seconds: timedelta(seconds=seconds))
GIVEN = st.lists(st.tuples(st.integers(1, 60), SECONDS, SECONDS), max_size=40)


def agent(held: tuple[Given, ...]) -> EnrolledAgent:
    return EnrolledAgent("d", "a", b"", NOW, NOW, False, 0, "", AgentReport(), held)


@given(GIVEN, st.integers(1, 60))
def test_a_lease_ends_no_later_than_what_is_noted(
    steps: list[tuple[int, timedelta, timedelta]], revoked: int
) -> None:
    held: tuple[Given, ...] = ()
    for revision, until, length in steps:
        leases = Leases(dict.fromkeys(Classification, length))
        held = with_leases(held, revision, leases, NOW + until)
    assert len(held) <= 16
    ends = [NOW + until + length for revision, until, length in steps if revision < revoked]
    noted = agent(held).lease_end(revoked, Classification.RESTRICTED)
    assert (noted is None) <= (not ends)
    if ends:
        assert noted is not None and noted >= max(ends)
    if len({revision for revision, _, _ in steps}) <= 16:
        assert noted == max(ends, default=None)
