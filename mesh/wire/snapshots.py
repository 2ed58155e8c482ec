"""Envelopes and snapshot entries on the wire."""

from collections.abc import Iterable, Mapping

from mesh.snapshots.envelope import Envelope
from mesh.v1 import agents_pb2


def envelope_to_proto(envelope: Envelope) -> agents_pb2.SignedEnvelope:
    """The envelope, its payload byte for byte."""
    return agents_pb2.SignedEnvelope(
        payload_type=envelope.payload_type,
        payload=envelope.payload,
        key_id=envelope.key_id,
        signature=envelope.signature,
    )


def envelope_from_proto(message: agents_pb2.SignedEnvelope) -> Envelope:
    """The envelope, not yet verified."""
    return Envelope(message.payload_type, message.payload, message.key_id, message.signature)


def entries_to_proto(entries: Mapping[str, bytes]) -> list[agents_pb2.SnapshotEntry]:
    """The entries by key."""
    return [agents_pb2.SnapshotEntry(key=key, value=entries[key]) for key in sorted(entries)]


def entries_from_proto(messages: Iterable[agents_pb2.SnapshotEntry]) -> dict[str, bytes]:
    """The entries by key; a later one of the same key wins."""
    return {message.key: message.value for message in messages}
