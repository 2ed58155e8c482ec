"""An agent to break: `python -m tests.faults.agent [--point NAME ...] --config FILE`.

Segments, quota and batches are smaller than an operator could make them, so that few reads reach
every point. SIGUSR1 makes every so many calls of its disk fail, SIGUSR2 ends that.
"""

import argparse
import functools
import signal
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

from domain_agent import __main__, app, governing
from domain_agent.clock import SystemClock
from domain_agent.spool.spool import SpoolLimits
from domain_agent.worker.limits import PoolSettings
from tests.faults.disk import Failing, failing_disk
from tests.faults.points import POINTS, arm


@dataclass(frozen=True, slots=True)
class SetClock:
    """A wall clock that is wrong by as many seconds as a file says; the other clock is right."""

    file: Path

    def now(self) -> datetime:
        """Wall time in UTC, as the machine has it."""
        return datetime.now(UTC) + timedelta(seconds=float(self.file.read_text()))

    def elapsed(self) -> float:
        """Seconds on the clock that can't be set."""
        return SystemClock().elapsed()


def main() -> None:
    """Put on what was asked for, and be an agent."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--point", choices=POINTS)
    parser.add_argument("--nth", type=int, default=1)
    parser.add_argument("--kept", type=float, default=0.5)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--clock", type=Path)
    parser.add_argument("--segment", type=int, required=True)
    parser.add_argument("--quota", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    ours, rest = parser.parse_known_args()
    limits = functools.partial(SpoolLimits, segment=ours.segment)
    pool = functools.partial(PoolSettings, batch_bytes=ours.batch)
    _put_on(governing, "SpoolLimits", lambda quota: limits(quota=min(quota, ours.quota)))
    _put_on(governing, "PoolSettings", pool)
    if ours.clock is not None:
        _put_on(app, "SystemClock", lambda: SetClock(ours.clock))
    if ours.point is not None:
        arm(POINTS[ours.point], ours.nth, ours.kept)
    sys.argv = [sys.argv[0], *rest]
    with failing_disk(_switched(ours.every)):
        __main__.main()


def _put_on(module: ModuleType, name: str, value: object) -> None:
    """Put a value in the place of one that is there."""
    assert hasattr(module, name), f"{module.__name__} has no {name}"
    setattr(module, name, value)


def _switched(every: int) -> Failing:
    on = False

    def switch(number: int, _: object) -> None:
        nonlocal on
        on = number == signal.SIGUSR1

    for number in (signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, switch)
    return Failing(lambda _, count: on and count % every == 0)


if __name__ == "__main__":
    main()
