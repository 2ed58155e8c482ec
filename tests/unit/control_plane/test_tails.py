"""How many tails run at the same time."""

import pytest

from control_plane.audit.tails import TailSlots
from mesh.errors import ControlOverloaded


def test_each_caller_and_all_together_have_a_limit() -> None:
    slots = TailSlots(each=2, total=3)
    with slots.taken("user:ana"), slots.taken("user:ana"):
        with pytest.raises(ControlOverloaded) as mine, slots.taken("user:ana"):
            pass
        with (
            slots.taken("user:bob"),
            pytest.raises(ControlOverloaded) as all_of_them,
            slots.taken("user:eve"),
        ):
            pass
        with slots.taken("user:eve"):
            pass
    assert mine.value.metadata == {"limit": "2"}
    assert all_of_them.value.metadata == {"limit": "3"}


def test_a_slot_is_free_again_whatever_happens() -> None:
    slots = TailSlots(each=1, total=1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), slots.taken("user:ana"):
            raise ZeroDivisionError
    with slots.taken("user:bob"):
        pass
