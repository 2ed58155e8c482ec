"""A usage event as canonical JSON bytes and back: the form in which agents keep it."""

import json

from mesh.evidence.canonical import canonical
from mesh.evidence.events import EventType, UsageEvent
from mesh.times import parse_rfc3339, rfc3339_micros


def encode_event(event: UsageEvent) -> bytes:
    """The event's canonical bytes."""
    return canonical(
        {
            "id": event.id,
            "source": event.source,
            "type": event.type.value,
            "time": rfc3339_micros(event.time),
            "sequence": event.sequence,
            "receipt": event.receipt,
            "data": event.data,
        }
    )


def decode_event(payload: bytes) -> UsageEvent:
    """The event of those bytes. Raises ValueError or KeyError when they are none."""
    fields = json.loads(payload)
    return UsageEvent(
        id=fields["id"],
        source=fields["source"],
        type=EventType(fields["type"]),
        time=parse_rfc3339(fields["time"]),
        sequence=fields["sequence"],
        receipt=fields["receipt"],
        data=fields["data"],
    )
