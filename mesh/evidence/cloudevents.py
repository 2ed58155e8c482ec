"""Usage events as Kafka records and back: CloudEvents 1.0, Kafka binding, binary content mode.

Nothing is lost on the way: what is decoded encodes to the record of the agent's log, byte for byte.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from mesh.errors import EvidenceInvalid
from mesh.evidence.canonical import MAX_DEPTH, NotCanonical, is_too_deep, read_canonical
from mesh.evidence.codec import Recorded, encode_event
from mesh.evidence.events import EventType, UsageEvent
from mesh.times import parse_rfc3339, rfc3339_micros

USAGE_TOPIC = "mesh.usage.v1"
CHANGES_TOPIC = "mesh.changes.v1"
_SPEC_VERSION = ("ce_specversion", b"1.0")
_CONTENT_TYPE = ("content-type", b"application/json")
_ATTRIBUTES = ("id", "receipt", "sequence", "source", "time", "type")
_HEADERS = {f"ce_{name}": name for name in ("specversion", *_ATTRIBUTES)} | {
    _CONTENT_TYPE[0]: _CONTENT_TYPE[0]
}
_SOURCE = b"/agents/"
_LARGEST = 2**53 - 1
_TAIL = re.compile(
    rb',"id":"([^"\\]*)","receipt":"([^"\\]*)","sequence":([0-9]+)'
    rb',"source":"/agents/([^"\\]*)","time":"([^"\\]*)","type":"([^"\\]*)"\}\Z'
)
_HEAD = b'{"data":'


class KafkaRecord(NamedTuple):
    """What a topic keeps of an event; the key puts an agent's events into one partition."""

    key: bytes
    headers: list[tuple[str, bytes]]
    value: bytes


def encode_kafka(event: UsageEvent) -> KafkaRecord:
    """The event as a Kafka record. Raises EvidenceInvalid for one that no agent makes."""
    return record_to_kafka(encode_event(event))


def record_to_kafka(record: bytes) -> KafkaRecord:
    """A log's record as a Kafka record, its data untouched and unread.

    Raises EvidenceInvalid when the bytes are no record of an agent's event.
    """
    # Inside of strings a quote is escaped, so this finds the last field that is called `id`.
    end = record.rfind(b',"id":"')
    found = _TAIL.match(record, end)
    if end < 0 or found is None or not record.startswith(_HEAD):
        raise EvidenceInvalid("the bytes are no record of an agent's event")
    event_id, receipt, sequence, agent, time, kind = found.groups()
    headers = [
        _SPEC_VERSION,
        ("ce_id", event_id),
        ("ce_source", b"/agents/" + agent),
        ("ce_type", kind),
        ("ce_time", time),
        ("ce_sequence", sequence),
        ("ce_receipt", receipt),
        _CONTENT_TYPE,
    ]
    return KafkaRecord(agent, headers, record[len(_HEAD) : end])


def decode_kafka(
    key: bytes | None, headers: Iterable[tuple[str, bytes | None]], value: bytes | None
) -> Recorded:
    """A Kafka record's event, and its record as it was in the agent's log.

    Raises EvidenceInvalid for anything but what agents write.
    """
    if value is None:
        raise EvidenceInvalid("the record has no value")
    attributes = _attributes(headers)
    if attributes["specversion"] != "1.0":
        raise EvidenceInvalid("the record's ce_specversion is not 1.0")
    source = attributes["source"]
    if key is None or source.encode() != _SOURCE + key:
        raise EvidenceInvalid("the record's key is not the agent that its ce_source names")
    try:
        kind, time = EventType(attributes["type"]), parse_rfc3339(attributes["time"])
    except (ValueError, OverflowError):
        raise EvidenceInvalid("the record's ce_type or ce_time is none that agents use") from None
    if rfc3339_micros(time) != attributes["time"]:
        raise EvidenceInvalid("the record's ce_time is not UTC with microseconds")
    event = UsageEvent(
        id=attributes["id"],
        source=source,
        type=kind,
        time=time,
        sequence=_sequence(attributes["sequence"]),
        receipt=attributes["receipt"],
        data=_data(value),
    )
    return Recorded.brought(event, value)


def _attributes(headers: Iterable[tuple[str, bytes | None]]) -> dict[str, str]:
    """The CloudEvents attributes; headers of others, such as a tracer's, are none of ours."""
    found: dict[str, bytes] = {}
    for name, content in headers:
        attribute = _HEADERS.get(name)
        if attribute is None and not name.startswith("ce_"):
            continue
        if attribute is None or attribute in found or not content:
            raise EvidenceInvalid(f"the record's header {name!r} is unknown, twice there or empty")
        found[attribute] = content
    if len(found) < len(_HEADERS):
        missing = sorted(name for name, attribute in _HEADERS.items() if attribute not in found)
        raise EvidenceInvalid(f"the record has no header {', '.join(missing)}")
    if found["content-type"] != _CONTENT_TYPE[1]:
        raise EvidenceInvalid("the record's content-type is not application/json")
    try:
        return {name: content.decode() for name, content in found.items()}
    except UnicodeDecodeError:
        raise EvidenceInvalid("the record has a header that is not UTF-8") from None


def _sequence(text: str) -> int:
    digits = text if text.isascii() and text.isdecimal() and len(text) < 17 else "0"
    sequence = int(digits)
    if str(sequence) != text or not 1 <= sequence <= _LARGEST:
        raise EvidenceInvalid("the record's ce_sequence is no number from 1 on")
    return sequence


def _data(value: bytes) -> dict[str, object]:
    try:
        data = read_canonical(value)
    except NotCanonical:
        data = None
    except (ValueError, RecursionError):
        raise EvidenceInvalid("the record's value is not JSON") from None
    if not isinstance(data, dict):
        raise EvidenceInvalid("the record's value is no JSON object in canonical form (RFC 8785)")
    if is_too_deep(data):
        raise EvidenceInvalid(f"the record's value nests deeper than {MAX_DEPTH} levels")
    return data
