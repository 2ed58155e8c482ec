"""A change of the mesh as a Kafka record: what changed, and nothing of anybody's person."""

from dataclasses import dataclass
from datetime import datetime

from mesh.evidence.canonical import canonical
from mesh.evidence.cloudevents import KafkaRecord
from mesh.times import rfc3339_micros

SOURCE = "/control-plane"


@dataclass(frozen=True, slots=True)
class TopicChange:
    """A line of the timeline about a change, without its actor and its words."""

    revision: int
    time: datetime
    action: str
    domain: str | None
    product: str
    reference: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Outbox:
    """What is published, and who publishes, until when."""

    published: int
    holder: str
    held_until: datetime


def to_kafka(change: TopicChange) -> KafkaRecord:
    """CloudEvents 1.0 in binary mode; the same change is the same record, id included."""
    value = canonical(
        {
            "action": change.action,
            "kind": "change",
            "domain": change.domain,
            "product": change.product,
            "reference": change.reference,
            "revision": change.revision,
            "purpose": change.purpose,
        }
    )
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", f"change-{change.revision}".encode()),
        ("ce_source", SOURCE.encode()),
        ("ce_type", f"io.meshwarden.{change.action}.v1".encode()),
        ("ce_time", rfc3339_micros(change.time).encode()),
        ("ce_revision", str(change.revision).encode()),
        ("content-type", b"application/json"),
    ]
    return KafkaRecord((change.domain or "mesh").encode(), headers, value)
