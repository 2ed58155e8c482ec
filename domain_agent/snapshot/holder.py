"""The snapshot in force: swapped whole, kept on disk before it is acknowledged."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from domain_agent.snapshot.lease import Lease
from domain_agent.snapshot.receiver import Received, Receiver, Renewal
from domain_agent.snapshot.store import SnapshotStore
from domain_agent.snapshot.values import Snapshot
from mesh.contracts.values import Classification
from mesh.errors import AgentBehind, AgentNotReady
from mesh.v1.agents_pb2 import StoredSnapshot

log = logging.getLogger(__name__)

# How long a read waits for the revision that it names.
BEHIND_SECONDS = 1.0
_MILDEST = Classification.PUBLIC


@dataclass(frozen=True, slots=True)
class _Held:
    """What is in force, and up to which revision it misses nothing."""

    snapshot: Snapshot
    complete: int


class SnapshotHolder:
    """`activate` is called with each snapshot before it is in force; it may refuse by raising."""

    def __init__(
        self, store: SnapshotStore, lease: Lease, activate: Callable[[Snapshot], None]
    ) -> None:
        self._store, self._lease, self._activate = store, lease, activate
        self._held: _Held | None = None
        self._lock = threading.Lock()
        self._moved = threading.Condition()
        self._ask: Callable[[int], object] | None = None

    @property
    def lease(self) -> Lease:
        return self._lease

    @property
    def highest_revision(self) -> int:
        """The highest revision ever acknowledged."""
        return self._store.highest_revision

    def peek(self) -> Snapshot | None:
        """The snapshot in force, whatever the leases say."""
        held = self._held
        return held.snapshot if held is not None else None

    def when_behind(self, ask: Callable[[int], object]) -> None:
        """From now on, call this with a revision that somebody waits for."""
        self._ask = ask

    def current(self, least_revision: int = 0) -> Snapshot:
        """The snapshot in force, which misses no change up to a revision; waits a second for it.

        What is read may need more than this: the lease for its own class.
        Raises AgentNotReady without one, AgentLeaseExpired when not even public data may be
        served, AgentBehind when the revision does not come.
        """
        held = self._held
        if held is None:
            raise AgentNotReady(
                "the agent has nothing to decide with yet: it has not heard from the control plane"
            )
        self._lease.remaining(_MILDEST)
        if held.complete < least_revision:
            held = self._awaited(least_revision)
            self._lease.remaining(_MILDEST)
        return held.snapshot

    def _awaited(self, revision: int) -> _Held:
        if self._ask is not None:
            self._ask(revision)

        def reached() -> _Held | None:
            held = self._held
            return held if held is not None and held.complete >= revision else None

        with self._moved:
            held = self._moved.wait_for(reached, BEHIND_SECONDS)
        if held is not None:
            return held
        known = self._held.complete if self._held is not None else 0
        raise AgentBehind(
            f"the read asks for revision {revision}, and the agent knows of changes up to {known} "
            "only; try again",
            revision=str(known),
            wanted=str(revision),
        )

    def install(self, received: Received) -> None:
        """Put what was received in force, on disk first. Raises a MeshError or OSError."""
        with self._lock:
            if received.snapshot is not None:
                self._activate(received.snapshot)
            current = received.snapshot or self.peek()
            if current is not None:
                self._save(received.stored, current)
                self._hold(current, received.renewal)

    def _save(self, stored: StoredSnapshot, current: Snapshot) -> None:
        try:
            self._store.save(stored, current.revision)
        except OSError:
            before = self.peek()
            if before is not None:
                self._activate(before)
            raise

    def _hold(self, snapshot: Snapshot, renewal: Renewal) -> None:
        with self._moved:
            before = self._held.complete if self._held is not None else 0
            self._held = _Held(snapshot, max(before, renewal.complete_revision))
            self._lease.renew(renewal.issued, renewal.leases)
            self._moved.notify_all()

    def restore(self, receiver: Receiver) -> None:
        """Start from what is on disk, if it is whole, signed and not older than acknowledged.

        `receiver` is a fresh one. Otherwise the agent waits for the stream.
        """
        try:
            stored = self._store.load()
            received = receiver.replay(stored) if stored is not None else None
        except Exception as error:  # noqa: BLE001 - without a good snapshot the agent refuses
            log.warning("the kept snapshot is not used: %s", error)
            return
        if received is None or received.snapshot is None:
            return
        if received.snapshot.revision < self.highest_revision:
            log.warning(
                "the kept snapshot is not used: it is revision %d, %d was acknowledged",
                received.snapshot.revision,
                self.highest_revision,
            )
            return
        with self._lock:
            self._activate(received.snapshot)
            self._hold(received.snapshot, received.renewal)
        log.info("restored revision %d from disk", received.snapshot.revision)
