"""Turns what the control plane sends into snapshots: verified, whole, never older than what was."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from google.protobuf.message import DecodeError

from domain_agent.snapshot.values import RememberingReader, Snapshot, TrustedKey, read_snapshot
from mesh.errors import AgentDigestMismatch, AgentRevisionStale, AgentSignatureInvalid
from mesh.leases import Leases
from mesh.snapshots.entries import Difference
from mesh.snapshots.envelope import verify
from mesh.v1 import agents_pb2
from mesh.wire.leases import leases_from_proto
from mesh.wire.snapshots import entries_from_proto, envelope_from_proto


@dataclass(frozen=True, slots=True)
class Renewal:
    """What every signed message says anew: leases from when, and up to where nothing is missing."""

    issued: datetime
    leases: Leases
    complete_revision: int


@dataclass(frozen=True, slots=True)
class Received:
    """What one message amounted to: a renewal, and maybe a snapshot, or a rehearsal asked for."""

    renewal: Renewal
    snapshot: Snapshot | None
    stored: agents_pb2.StoredSnapshot
    rehearsal: agents_pb2.RehearsalRequest | None = None


class Receiver:
    """Feeds on the messages of one stream, in order; raises a MeshError for what it refuses."""

    def __init__(self, domain: str, keys: Mapping[str, bytes], highest_revision: int) -> None:
        self._domain, self._keys = domain, dict(keys)
        self._highest = highest_revision
        self._read = RememberingReader()
        self._pending: agents_pb2.SyncPayload | None = None
        self._stored = agents_pb2.StoredSnapshot()
        self._current: Snapshot | None = None

    def feed(self, message: agents_pb2.SyncResponse) -> Received | None:
        """Take one message; None while parts of a snapshot are missing."""
        match message.WhichOneof("message"):
            case "signed":
                return self._signed(message.signed)
            case "part":
                return self._part(message.part)
            case _:
                raise AgentDigestMismatch("the control plane sent an empty message")

    def replay(self, stored: agents_pb2.StoredSnapshot) -> Received | None:
        """Take what was kept on disk, verifying all of it again. Raises a MeshError."""
        received = self.feed(agents_pb2.SyncResponse(signed=stored.snapshot))
        for part in stored.parts:
            received = self.feed(agents_pb2.SyncResponse(part=part))
        for delta in stored.deltas:
            received = self.feed(agents_pb2.SyncResponse(signed=delta))
        if stored.HasField("lease") and received is not None and received.snapshot is not None:
            renewal = self._verified(stored.lease)
            # A lease for another revision says nothing of this one: it may be an older one's.
            if renewal.revision == received.snapshot.revision:
                received = replace(received, renewal=_renewal(renewal))
        return received

    def _verified(self, envelope: agents_pb2.SignedEnvelope) -> agents_pb2.SyncPayload:
        verified = verify(envelope_from_proto(envelope), self._keys)
        try:
            payload = agents_pb2.SyncPayload.FromString(verified)
        except DecodeError as error:
            raise AgentDigestMismatch(
                "what the control plane signed can't be read; upgrade the agent"
            ) from error
        if payload.domain != self._domain:
            raise AgentSignatureInvalid(
                f"an envelope for domain {payload.domain} reached an agent of {self._domain}"
            )
        return payload

    def _signed(self, envelope: agents_pb2.SignedEnvelope) -> Received | None:
        payload = self._verified(envelope)
        match payload.WhichOneof("message"):
            case "snapshot":
                self._require_not_older(payload.revision)
                self._pending = payload
                self._stored = agents_pb2.StoredSnapshot(snapshot=envelope)
                return self._complete(payload) if payload.snapshot.parts == 0 else None
            case "delta":
                self._require_not_older(payload.revision)
                return self._delta(envelope, payload)
            case kind:
                self._require_current(payload.revision)
                self._stored.lease.CopyFrom(envelope)
                asked = payload.rehearsal if kind == "rehearsal" else None
                return Received(_renewal(payload), None, self._copy(), asked)

    def _part(self, part: agents_pb2.SnapshotPart) -> Received | None:
        if self._pending is None or part.index != len(self._stored.parts):
            raise AgentDigestMismatch(f"part {part.index} of a snapshot came out of order")
        self._stored.parts.append(part)
        if len(self._stored.parts) < self._pending.snapshot.parts:
            return None
        return self._complete(self._pending)

    def _complete(self, payload: agents_pb2.SyncPayload) -> Received:
        self._pending = None
        entries = entries_from_proto(e for part in self._stored.parts for e in part.entries)
        return self._received(payload, payload.snapshot.digest, entries)

    def _delta(
        self, envelope: agents_pb2.SignedEnvelope, payload: agents_pb2.SyncPayload
    ) -> Received:
        delta = payload.delta
        current = self._current
        if current is None or current.revision != delta.previous_revision:
            raise AgentDigestMismatch(
                f"a delta for revision {delta.previous_revision} does not fit what the agent has",
                revision=str(payload.revision),
            )
        change = Difference(entries_from_proto(delta.upserts), tuple(delta.removals))
        received = self._received(payload, delta.digest, change.apply(current.entries))
        self._stored.deltas.append(envelope)
        return replace(received, stored=self._copy())

    def _received(
        self, payload: agents_pb2.SyncPayload, digest: bytes, entries: Mapping[str, bytes]
    ) -> Received:
        snapshot = read_snapshot(self._domain, payload.revision, digest, entries, self._read)
        self._current = snapshot
        self._highest = max(self._highest, snapshot.revision)
        self._keys.update(snapshot_keys(snapshot.keys))
        return Received(_renewal(payload), snapshot, self._copy())

    def _require_current(self, revision: int) -> None:
        """Leases for a revision that the agent is not at say nothing of what it enforces."""
        if self._current is None or self._current.revision != revision:
            raise AgentDigestMismatch(
                f"leases for revision {revision} do not fit what the agent has",
                revision=str(revision),
            )

    def _require_not_older(self, revision: int) -> None:
        if revision < self._highest:
            raise AgentRevisionStale(
                f"revision {revision} is below {self._highest}, which the agent acknowledged; "
                "the control plane's database may have been restored from an old copy",
                revision=str(revision),
            )

    def _copy(self) -> agents_pb2.StoredSnapshot:
        copy = agents_pb2.StoredSnapshot()
        copy.CopyFrom(self._stored)
        return copy


def snapshot_keys(keys: tuple[TrustedKey, ...]) -> dict[str, bytes]:
    """The keys that may sign snapshots, by id."""
    return {key.id: key.public_key for key in keys if key.use == "snapshot"}


def _renewal(payload: agents_pb2.SyncPayload) -> Renewal:
    return Renewal(
        payload.issue_time.ToDatetime(UTC),
        leases_from_proto(payload.leases),
        max(payload.complete_revision, payload.revision),
    )
