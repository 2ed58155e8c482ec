"""Alarms ring for what takes too long, and only for that."""

from domain_agent.interceptors import Alarms


class Hands:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_alarm_rings_once_after_its_time() -> None:
    clock, rung = Hands(), list[str]()
    alarms = Alarms(clock, tick=1)
    with alarms.unless_within(10, lambda: rung.append("late")):
        clock.now = 9.9
        alarms.ring()
        assert rung == []
        clock.now = 10
        alarms.ring()
        alarms.ring()
        assert rung == ["late"]


def test_alarm_of_a_finished_block_never_rings() -> None:
    clock, rung = Hands(), list[str]()
    alarms = Alarms(clock, tick=1)
    with alarms.unless_within(10, lambda: rung.append("late")):
        pass
    clock.now = 100
    alarms.ring()
    assert rung == []


def test_failing_action_does_not_keep_others_from_theirs() -> None:
    clock, rung = Hands(), list[str]()
    alarms = Alarms(clock, tick=1)

    def fail() -> None:
        raise RuntimeError("broken")

    with alarms.unless_within(1, fail), alarms.unless_within(2, lambda: rung.append("late")):
        clock.now = 5
        alarms.ring()
    assert rung == ["late"]
