"""Usage events on the wire."""

import json
from collections.abc import Mapping

from mesh.errors import EvidenceInvalid
from mesh.evidence.canonical import MAX_DEPTH, canonical, is_too_deep
from mesh.evidence.codec import Recorded
from mesh.evidence.events import EventType, UsageEvent
from mesh.v1 import audit_pb2
from mesh.wire.times import from_timestamp, to_timestamp


def event_to_proto(
    event: UsageEvent, personal: Mapping[str, object] | None = None
) -> audit_pb2.UsageEvent:
    """The event, its data as canonical JSON; in answers with what the data seals, if it opened."""
    return audit_pb2.UsageEvent(
        id=event.id,
        source=event.source,
        type=event.type.value,
        time=to_timestamp(event.time),
        sequence=event.sequence,
        receipt=event.receipt,
        data=canonical(event.data),
        personal=b"" if personal is None else canonical(personal),
    )


def event_from_proto(message: audit_pb2.UsageEvent) -> UsageEvent:
    """The event. Raises EvidenceInvalid when its type is unknown or its data is no JSON object."""
    return recorded_from_proto(message).event


def recorded_from_proto(message: audit_pb2.UsageEvent) -> Recorded:
    """The event with its record, in whatever form its data came. Raises EvidenceInvalid."""
    sequence = str(message.sequence)
    try:
        kind = EventType(message.type)
        data = json.loads(message.data)
        form = canonical(data)
    except (ValueError, RecursionError) as error:
        raise EvidenceInvalid(
            f"event {sequence} has an unknown type or data that is not canonical JSON",
            sequence=sequence,
        ) from error
    if not isinstance(data, dict):
        raise EvidenceInvalid(f"event {sequence}'s data is no JSON object", sequence=sequence)
    if is_too_deep(data):
        raise EvidenceInvalid(
            f"event {sequence}'s data nests deeper than {MAX_DEPTH} levels", sequence=sequence
        )
    event = UsageEvent(
        id=message.id,
        source=message.source,
        type=kind,
        time=from_timestamp(message.time, "time"),
        sequence=message.sequence,
        receipt=message.receipt,
        data=data,
    )
    return Recorded.brought(event, form)


def personal_from_proto(message: audit_pb2.UsageEvent) -> dict[str, object]:
    """What an answer opened of an event; empty when it did not. Raises EvidenceInvalid."""
    if not message.personal:
        return {}
    try:
        fields = json.loads(message.personal)
    except (ValueError, RecursionError) as error:
        raise EvidenceInvalid(
            f"the personal fields of event {message.sequence} are no JSON",
            sequence=str(message.sequence),
        ) from error
    return fields if isinstance(fields, dict) else {}
