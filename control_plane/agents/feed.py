"""What the agents of a domain must know, built once for each revision and signed."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from google.protobuf.message import Message

from control_plane.agreements import store as agreements
from control_plane.contracts import store as contracts
from control_plane.database import Database, Transaction
from control_plane.identity.keys import KeyRing
from control_plane.policies import rehearsal_store
from control_plane.policies import store as policies
from control_plane.purposes import store as purposes
from control_plane.purposes.wire import purpose_to_proto
from control_plane.timeline import store as timeline
from mesh.decisions.policy import Policy
from mesh.leases import Leases
from mesh.snapshots.entries import MAX_PART_BYTES, difference, entries_digest, parts
from mesh.snapshots.envelope import sign
from mesh.v1 import agents_pb2
from mesh.wire.agreements import enforceable_to_proto
from mesh.wire.leases import leases_to_proto
from mesh.wire.snapshots import entries_to_proto, envelope_to_proto
from mesh.wire.times import to_timestamp

# An agent tells a reader for this long that an agreement ended, instead of that there is none.
REMEMBERED = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything the agents of a domain must know as of a revision.

    It misses no change up to `complete`, as the changes after `revision` don't concern them.
    """

    domain: str
    revision: int
    entries: Mapping[str, bytes]
    digest: bytes
    complete: int


@dataclass(frozen=True, slots=True)
class _Known:
    """A domain's snapshots.

    Agents with a policy of their own, while one is tried, have a snapshot of their own. `asked`
    are rehearsals, by agent: id and digest.
    """

    common: Snapshot
    own: Mapping[str, Snapshot]
    asked: Mapping[str, Sequence[tuple[str, str]]]


class Feed:
    """The newest snapshots of each domain, built in `threads`. Belongs to one event loop."""

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        threads: Executor,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._keys = keys
        self._threads = threads
        self._clock = clock
        self._newest: dict[str, _Known] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def snapshot(self, domain: str, agent: str, known_revision: int) -> Snapshot:
        """What an agent of the domain must know; it misses no change up to `known_revision`."""
        async with self._locks[domain]:
            known = self._newest.get(domain)
            if known is None or known.common.complete < known_revision:
                run = asyncio.get_running_loop().run_in_executor
                known = await run(self._threads, self._refresh, domain, known)
                self._newest[domain] = known
            return known.own.get(f"{domain}/{agent}", known.common)

    def rehearsals(self, domain: str, agent: str) -> Sequence[tuple[str, str]]:
        """What the agent was asked to rehearse, as of its snapshot: ids and digests."""
        known = self._newest.get(domain)
        return known.asked.get(f"{domain}/{agent}", ()) if known is not None else ()

    def _refresh(self, domain: str, before: _Known | None) -> _Known:
        now = self._clock()
        with self._database.reading() as tx:
            checked = timeline.heads(tx).revision
            revision = timeline.distributed_revision(tx, domain)
            asked = rehearsal_store.asked(tx, domain, now)
            if before is not None and before.common.revision == revision:
                own = {name: replace(one, complete=checked) for name, one in before.own.items()}
                return _Known(replace(before.common, complete=checked), own, asked)
            entries = _entries(tx, domain, now, self._keys)
            staged = sorted(policies.staged_agents(tx, domain))
            snapshots = {
                agent: _snapshot(
                    Snapshot(domain, revision, entries, b"", checked),
                    policies.in_force(tx, domain, agent),
                )
                for agent in ["", *staged]
            }
        return _Known(snapshots.pop(""), snapshots, asked)


def _snapshot(common: Snapshot, policy: Policy | None) -> Snapshot:
    """A domain's snapshot with the policy that an agent of it decides with."""
    modules = {} if policy is None else policy.modules
    entries = {
        **common.entries,
        **{f"policy/{path}": text.encode() for path, text in modules.items()},
    }
    return replace(common, entries=entries, digest=entries_digest(entries))


class Publisher:
    """Turns snapshots into signed messages for one domain's agents."""

    def __init__(self, keys: KeyRing, leases: Leases, clock: Callable[[], datetime]) -> None:
        self._key = keys.snapshot
        self._leases = leases_to_proto(leases)
        self._clock = clock

    def whole(self, snapshot: Snapshot) -> Iterator[agents_pb2.SyncResponse]:
        """The snapshot: its signed header, then its parts."""
        pieces = list(parts(snapshot.entries))
        payload = self._payload(snapshot)
        payload.snapshot.parts = len(pieces)
        payload.snapshot.digest = snapshot.digest
        yield self._signed(payload)
        for index, piece in enumerate(pieces):
            yield agents_pb2.SyncResponse(
                part=agents_pb2.SnapshotPart(index=index, entries=entries_to_proto(piece))
            )

    def change(self, old: Snapshot, new: Snapshot) -> Iterator[agents_pb2.SyncResponse]:
        """The way from old to new: a delta, or all of new where a delta would be too large.

        Also where an agreement is to be forgotten: agents keep a snapshot with the deltas after it.
        """
        changed = difference(old.entries, new.entries)
        forgets = any(key.startswith("agreement/") for key in changed.removals)
        if changed.size > MAX_PART_BYTES or forgets:
            yield from self.whole(new)
            return
        payload = self._payload(new)
        payload.delta.previous_revision = old.revision
        payload.delta.upserts.extend(entries_to_proto(changed.upserts))
        payload.delta.removals.extend(changed.removals)
        payload.delta.digest = new.digest
        yield self._signed(payload)

    def renewal(self, snapshot: Snapshot) -> agents_pb2.SyncResponse:
        """The leases anew, and up to where the snapshot misses nothing."""
        return self._signed(self._payload(snapshot))

    def rehearsal(self, snapshot: Snapshot, id_: str, digest: str) -> agents_pb2.SyncResponse:
        """The lease anew, and a candidate to rehearse."""
        payload = self._payload(snapshot)
        payload.rehearsal.id, payload.rehearsal.digest = id_, digest
        return self._signed(payload)

    def _payload(self, snapshot: Snapshot) -> agents_pb2.SyncPayload:
        return agents_pb2.SyncPayload(
            domain=snapshot.domain,
            issue_time=to_timestamp(self._clock()),
            leases=self._leases,
            revision=snapshot.revision,
            complete_revision=snapshot.complete,
        )

    def _signed(self, payload: agents_pb2.SyncPayload) -> agents_pb2.SyncResponse:
        envelope = sign(payload.SerializeToString(), self._key.id, self._key.private)
        return agents_pb2.SyncResponse(signed=envelope_to_proto(envelope))


def trusted_keys(keys: KeyRing) -> list[agents_pb2.TrustedKey]:
    """The public keys that an agent must trust."""
    return [
        agents_pb2.TrustedKey(id=key.id, public_key=key.public_bytes, use=key.use)
        for key in keys.all
    ]


def _entries(tx: Transaction, domain: str, now: datetime, keys: KeyRing) -> dict[str, bytes]:
    entries: dict[str, bytes] = {}
    for published in contracts.products(tx, domain):
        contract = published.contract
        entries[f"contract/{contract.product}/{contract.version}"] = published.document
    for agreement in agreements.enforceable(tx, domain, now - REMEMBERED):
        entries[f"agreement/{agreement.id}"] = _bytes(enforceable_to_proto(agreement))
    for purpose in purposes.page(tx, ""):
        entries[f"purpose/{purpose.id}"] = _bytes(purpose_to_proto(purpose))
    for key in trusted_keys(keys):
        entries[f"key/{key.id}"] = _bytes(key)
    return entries


def _bytes(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
