"""Handles open for their owner, for a while."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_agent.flight.handles import HandleLimits, Handles
from mesh.errors import TicketInvalid


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def handles(clock: Hands, per_principal: int = 3) -> Handles[str]:
    return Handles(HandleLimits(60, per_principal), clock, secrets.token_bytes)


def test_handle_opens_for_its_owner() -> None:
    kept = handles(Hands())
    handle = kept.put("user:ana", "value")
    assert kept.get("user:ana", handle) == "value"
    assert kept.take("user:ana", handle) == "value"


@pytest.mark.parametrize("principal", ["user:ben", "user:an", "", "service:ana"])
def test_handle_stays_shut_for_others(principal: str) -> None:
    kept = handles(Hands())
    handle = kept.put("user:ana", "value")
    with pytest.raises(TicketInvalid):
        kept.take(principal, handle)
    assert kept.get("user:ana", handle) == "value"


def test_taken_handle_is_used_up() -> None:
    kept = handles(Hands())
    handle = kept.put("user:ana", "value")
    kept.take("user:ana", handle)
    for use in (kept.take, kept.get):
        with pytest.raises(TicketInvalid):
            use("user:ana", handle)


def test_handle_expires() -> None:
    clock = Hands()
    kept = handles(clock)
    handle = kept.put("user:ana", "value")
    clock.now += 59.9
    assert kept.get("user:ana", handle) == "value"
    clock.now += 60
    with pytest.raises(TicketInvalid):
        kept.get("user:ana", handle)


def test_oldest_of_a_principal_is_given_up_and_nobody_elses() -> None:
    kept = handles(Hands(), per_principal=2)
    bens = kept.put("user:ben", "b")
    first, second = kept.put("user:ana", "1"), kept.put("user:ana", "2")
    kept.get("user:ana", first)
    third = kept.put("user:ana", "3")
    assert [kept.get("user:ana", handle) for handle in (first, third)] == ["1", "3"]
    assert kept.get("user:ben", bens) == "b"
    with pytest.raises(TicketInvalid):
        kept.get("user:ana", second)


def test_replaced_value_keeps_its_handle() -> None:
    kept = handles(Hands())
    handle = kept.put("user:ana", "old")
    kept.replace("user:ana", handle, "new")
    assert kept.get("user:ana", handle) == "new"


def test_handle_of_another_process_is_unknown() -> None:
    handle = handles(Hands()).put("user:ana", "value")
    with pytest.raises(TicketInvalid):
        handles(Hands()).get("user:ana", handle)


@given(st.integers(0, 47), st.integers(1, 255))
def test_changed_handle_is_unknown(place: int, change: int) -> None:
    kept = handles(Hands())
    handle = bytearray(kept.put("user:ana", "value"))
    handle[place] ^= change
    with pytest.raises(TicketInvalid):
        kept.get("user:ana", bytes(handle))


@given(st.binary(max_size=64))
def test_made_up_handle_is_unknown(handle: bytes) -> None:
    kept = handles(Hands())
    kept.put("user:ana", "value")
    with pytest.raises(TicketInvalid):
        kept.take("user:ana", handle)
