"""A usage event as canonical JSON bytes and back: a record, the form that logs keep and hash."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple, Self

from mesh.evidence.canonical import MAX_DEPTH, canonical, is_too_deep
from mesh.evidence.events import EventType, UsageEvent
from mesh.times import parse_rfc3339, rfc3339_micros

# In canonical JSON `data` comes first, so what is looked for at a start stands at the end.
_TAIL = re.compile(
    rb',"id":"([^"\\]*)","receipt":"([^"\\]*)","sequence":([0-9]+)'
    rb',"source":"[^"\\]*","time":"[^"\\]*","type":"([^"\\]*)"\}\Z'
)
LONGEST_TAIL = 1_000


@dataclass(frozen=True, slots=True)
class Draft:
    """An event that has no place in the log yet; its data in canonical form already."""

    id: str
    source: str
    type: EventType
    time: datetime
    receipt: str
    data: bytes

    def record(self, sequence: int) -> bytes:
        """The record at that place of the log."""
        return (
            b'{"data":%b,"id":%b,"receipt":%b,"sequence":%d,"source":%b,"time":"%b","type":"%b"}'
            % (
                self.data,
                canonical(self.id),
                canonical(self.receipt),
                sequence,
                canonical(self.source),
                rfc3339_micros(self.time).encode(),
                self.type.value.encode(),
            )
        )


class Recorded(NamedTuple):
    """An event beside its record: each says what the other does."""

    event: UsageEvent
    record: bytes

    @classmethod
    def of(cls, event: UsageEvent) -> Self:
        """An event that was made from fields."""
        return cls(event, encode_event(event))

    @classmethod
    def brought(cls, event: UsageEvent, data: bytes) -> Self:
        """An event that came with its data in canonical form, which is not made again."""
        draft = Draft(event.id, event.source, event.type, event.time, event.receipt, data)
        return cls(event, draft.record(event.sequence))


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: its event's id and receipt, its sequence and its type."""

    id: str
    receipt: str
    sequence: int
    type: EventType


def encode_event(event: UsageEvent) -> bytes:
    """The event's record. Raises ValueError for data that JSON can't hold or that is too deep."""
    _check_depth(event.data)
    return Draft(
        event.id, event.source, event.type, event.time, event.receipt, canonical(event.data)
    ).record(event.sequence)


def decode_event(record: bytes) -> UsageEvent:
    """The event of a record. Raises ValueError or KeyError when it is none."""
    try:
        fields = json.loads(record)
    except RecursionError:
        raise ValueError("the record nests too deep") from None
    _check_depth(fields["data"])
    return UsageEvent(
        id=fields["id"],
        source=fields["source"],
        type=EventType(fields["type"]),
        time=parse_rfc3339(fields["time"]),
        sequence=fields["sequence"],
        receipt=fields["receipt"],
        data=fields["data"],
    )


def _check_depth(data: object) -> None:
    if isinstance(data, Mapping) and is_too_deep(data):
        raise ValueError(f"the event's data nests deeper than {MAX_DEPTH} levels")


def place_of(record: bytes) -> Place:
    """Where a record stands, without reading its data. Raises ValueError when it is none."""
    found = _TAIL.search(record[-LONGEST_TAIL:])
    if found is None:
        raise ValueError("the bytes are no record of an event")
    event_id, receipt, sequence, kind = found.groups()
    return Place(event_id.decode(), receipt.decode(), int(sequence), EventType(kind.decode()))
