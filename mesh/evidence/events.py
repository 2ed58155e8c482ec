"""Usage events: CloudEvents 1.0 about reads. One receipt per statement."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventType(StrEnum):
    """The four things that happen to a statement; a refused one has only `refused`."""

    STARTED = "io.meshwarden.read.started.v1"
    COMPLETED = "io.meshwarden.read.completed.v1"
    ABORTED = "io.meshwarden.read.aborted.v1"
    REFUSED = "io.meshwarden.read.refused.v1"

    @property
    def action(self) -> str:
        """`read.started`, as people read it."""
        return self.value.removeprefix("io.meshwarden.").removesuffix(".v1")

    @property
    def state(self) -> str:
        """`started`, the receipt's state after this event."""
        return self.action.removeprefix("read.")


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One event of a receipt, whose id is that of the statement's first event.

    `sequence` runs per agent from 1 without gaps.
    """

    id: str
    source: str
    type: EventType
    time: datetime
    sequence: int
    receipt: str
    data: Mapping[str, object]


def agent_source(domain: str, agent: str) -> str:
    """The CloudEvents source of an agent's events."""
    return f"/agents/{domain}/{agent}"
