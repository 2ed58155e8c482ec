"""Usage events: CloudEvents 1.0 about reads and about the keys of evidence.

One receipt per statement; an event about a key is a receipt of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class EventType(StrEnum):
    """What an agent's log tells; a refused statement has only `refused`."""

    STARTED = "io.meshwarden.read.started.v1"
    COMPLETED = "io.meshwarden.read.completed.v1"
    ABORTED = "io.meshwarden.read.aborted.v1"
    REFUSED = "io.meshwarden.read.refused.v1"
    KEY_CREATED = "io.meshwarden.key.created.v1"
    KEY_DESTROYED = "io.meshwarden.key.destroyed.v1"
    PSEUDONYM_KEY_DESTROYED = "io.meshwarden.pseudonym-key.destroyed.v1"

    @property
    def action(self) -> str:
        """`read.started`, as people read it."""
        return self.removeprefix("io.meshwarden.").removesuffix(".v1")

    @property
    def is_read(self) -> bool:
        """Whether it is about a statement."""
        return self.startswith("io.meshwarden.read.")

    @property
    def state(self) -> str:
        """`started`, the receipt's state after this event."""
        return self.action.partition(".")[2]


@dataclass(frozen=True, slots=True)
class UsageEvent:
    """One event of a receipt, whose id is that of the statement's first event.

    `sequence` runs per agent from 1 without gaps. Who read is sealed in the data: see sealing.
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
