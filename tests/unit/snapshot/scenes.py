"""A small mesh to sign: keys, entries and envelopes as the control plane makes them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.leases import DEFAULT_LEASES
from mesh.snapshots.entries import difference, entries_digest, parts
from mesh.snapshots.envelope import sign
from mesh.v1 import agents_pb2
from mesh.wire.leases import leases_to_proto
from mesh.wire.snapshots import entries_to_proto, envelope_to_proto

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LEASES = DEFAULT_LEASES
DOMAIN = "bookings"


@dataclass
class SetClock:
    """A clock that a test sets: wall time and elapsed seconds apart."""

    wall: datetime = NOW
    seconds: float = 1_000.0

    def now(self) -> datetime:
        return self.wall

    def elapsed(self) -> float:
        return self.seconds

    def advance(self, step: timedelta) -> None:
        self.wall += step
        self.seconds += step.total_seconds()


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)


@dataclass
class Signer:
    """Signs like the control plane, for any domain, revision and content."""

    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    domain: str = DOMAIN

    @property
    def keys(self) -> dict[str, bytes]:
        return {"snap-1": raw(self.key)}

    def payload(self, revision: int, issued: datetime = NOW) -> agents_pb2.SyncPayload:
        payload = agents_pb2.SyncPayload(domain=self.domain, revision=revision)
        payload.issue_time.FromDatetime(issued)
        payload.leases.CopyFrom(leases_to_proto(LEASES))
        return payload

    def signed(self, payload: agents_pb2.SyncPayload) -> agents_pb2.SyncResponse:
        envelope = sign(payload.SerializeToString(), "snap-1", self.key)
        return agents_pb2.SyncResponse(signed=envelope_to_proto(envelope))

    def snapshot(
        self, revision: int, entries: Mapping[str, bytes], issued: datetime = NOW
    ) -> list[agents_pb2.SyncResponse]:
        pieces = list(parts(entries))
        payload = self.payload(revision, issued)
        payload.snapshot.parts = len(pieces)
        payload.snapshot.digest = entries_digest(entries)
        messages = [self.signed(payload)]
        for index, piece in enumerate(pieces):
            part = agents_pb2.SnapshotPart(index=index, entries=entries_to_proto(piece))
            messages.append(agents_pb2.SyncResponse(part=part))
        return messages

    def delta(
        self, previous: int, revision: int, old: Mapping[str, bytes], new: Mapping[str, bytes]
    ) -> agents_pb2.SyncResponse:
        change = difference(old, new)
        payload = self.payload(revision)
        payload.delta.previous_revision = previous
        payload.delta.upserts.extend(entries_to_proto(change.upserts))
        payload.delta.removals.extend(change.removals)
        payload.delta.digest = entries_digest(new)
        return self.signed(payload)


def entries(**purposes: str) -> dict[str, bytes]:
    """Entries with a policy and some purposes: the least an agent takes."""
    found = {f"purpose/{name}": value.encode() for name, value in purposes.items()}
    return {"policy/library/access.rego": b"package mesh.access\n", **found}
