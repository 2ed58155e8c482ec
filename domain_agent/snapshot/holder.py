"""The snapshot in force: swapped whole, kept on disk before it is acknowledged."""

import logging
import threading
from collections.abc import Callable

from domain_agent.snapshot.lease import Lease
from domain_agent.snapshot.receiver import Received, Receiver
from domain_agent.snapshot.store import SnapshotStore
from domain_agent.snapshot.values import Snapshot
from mesh.errors import AgentNotReady
from mesh.v1.agents_pb2 import StoredSnapshot

log = logging.getLogger(__name__)


class SnapshotHolder:
    """`activate` is called with each snapshot before it is in force; it may refuse by raising."""

    def __init__(
        self, store: SnapshotStore, lease: Lease, activate: Callable[[Snapshot], None]
    ) -> None:
        self._store, self._lease, self._activate = store, lease, activate
        self._current: Snapshot | None = None
        self._lock = threading.Lock()

    @property
    def lease(self) -> Lease:
        return self._lease

    @property
    def highest_revision(self) -> int:
        """The highest revision ever acknowledged."""
        return self._store.highest_revision

    def peek(self) -> Snapshot | None:
        """The snapshot in force, whatever the lease says."""
        return self._current

    def current(self) -> Snapshot:
        """The snapshot in force. Raises AgentNotReady without one, AgentLeaseExpired too late."""
        snapshot = self._current
        if snapshot is None:
            raise AgentNotReady(
                "the agent has nothing to decide with yet: it has not heard from the control plane"
            )
        self._lease.require()
        return snapshot

    def install(self, received: Received) -> None:
        """Put what was received in force, on disk first. Raises a MeshError or OSError."""
        with self._lock:
            if received.snapshot is not None:
                self._activate(received.snapshot)
            current = received.snapshot or self._current
            if received.stored is not None and current is not None:
                self._save(received.stored, current)
            self._current = current
            self._lease.renew(received.issued, received.lease)

    def _save(self, stored: StoredSnapshot, current: Snapshot) -> None:
        try:
            self._store.save(stored, current.revision)
        except OSError:
            if self._current is not None:
                self._activate(self._current)
            raise

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
            self._current = received.snapshot
            self._lease.renew(received.issued, received.lease)
        log.info("restored revision %d from disk", received.snapshot.revision)
