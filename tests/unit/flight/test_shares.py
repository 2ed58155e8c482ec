"""Nobody who holds nothing is kept waiting by callers who hold much."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_agent.flight.shares import Shares
from mesh.errors import AgentOverloaded

STEPS = st.lists(st.tuples(st.booleans(), st.sampled_from("abcdef")), max_size=120)


class Crowd:
    """Callers who take and give back, and what each of them holds."""

    def __init__(self, places: int) -> None:
        self.shares = Shares(places, "statements")
        self.releases: dict[str, list[Callable[[], None]]] = {}

    def held(self, caller: str) -> int:
        return len(self.releases.get(caller, []))

    def taken(self) -> int:
        return sum(map(self.held, self.releases))

    def takes(self, caller: str) -> bool:
        try:
            release = self.shares.take(caller)
        except AgentOverloaded:
            return False
        self.releases.setdefault(caller, []).append(release)
        return True

    def fills(self, caller: str) -> int:
        """Takes as many as there are for this caller; how many they hold then."""
        while self.takes(caller):
            pass
        return self.held(caller)

    def gives(self, caller: str) -> None:
        if self.held(caller):
            self.releases[caller].pop()()


@given(st.integers(1, 40))
def test_a_caller_alone_has_half(places: int) -> None:
    assert Crowd(places).fills("ana") == max(1, places // 2)


@given(st.integers(3, 40), STEPS)
def test_two_callers_never_hold_everything(places: int, steps: list[tuple[bool, str]]) -> None:
    crowd = Crowd(places)
    for takes, caller in steps:
        if takes:
            crowd.takes(caller)
        else:
            crowd.gives(caller)
        if sum(1 for who in crowd.releases if crowd.held(who)) <= 2:
            assert crowd.taken() < places
            assert crowd.takes("eve")
            crowd.gives("eve")


@given(st.integers(1, 40), STEPS)
def test_the_last_free_place_goes_to_who_holds_none(
    places: int, steps: list[tuple[bool, str]]
) -> None:
    crowd = Crowd(places)
    for takes, caller in steps:
        free, held = places - crowd.taken(), crowd.held(caller)
        if not takes:
            crowd.gives(caller)
        elif held == 0:
            assert crowd.takes(caller) == (free > 0)
        else:
            assert crowd.takes(caller) == (free - 1 >= held + 1)
        assert crowd.taken() <= places


def test_of_four_places_one_caller_has_two_another_one_and_a_third_the_last() -> None:
    crowd = Crowd(4)
    assert [crowd.fills(caller) for caller in ("ana", "ben", "eve", "dora")] == [2, 1, 1, 0]
    crowd.gives("ana")
    assert not crowd.takes("ana")
    assert crowd.takes("dora")


def test_who_holds_none_may_wait_for_a_place_and_who_holds_one_may_not() -> None:
    shares = Shares(2, "statements", waiting=1)
    for caller in ("ana", "ben", "eve"):
        shares.take(caller)
    for caller in ("ana", "dora"):
        with pytest.raises(AgentOverloaded):
            shares.take(caller)


def test_a_place_is_given_back_once_also_when_the_block_fails() -> None:
    shares = Shares(1, "statements")
    release = shares.take("ana")
    release()
    with pytest.raises(ZeroDivisionError), shares.held("ana"):
        raise ZeroDivisionError
    second = shares.take("ben")
    release()
    with pytest.raises(AgentOverloaded, match="1 statements"):
        shares.take("eve")
    second()
    shares.take("eve")


def test_a_refusal_names_nobody_and_says_what_to_do() -> None:
    shares = Shares(2, "statements")
    shares.take("user:ana")
    with pytest.raises(AgentOverloaded, match="finish one and try again") as refused:
        shares.take("user:ana")
    assert "user:ana" not in refused.value.message
