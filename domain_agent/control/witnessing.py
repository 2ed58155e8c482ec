"""The agent's word on its log: signed checkpoints and principals' keys, over gRPC.

It does not go the way of the events, so that the control plane can witness that way.
"""

import logging
import threading
from collections.abc import Callable
from pathlib import Path

import grpc

from domain_agent.clock import Clock
from domain_agent.control.link import CALL_SECONDS, AgentIdentity, Link
from domain_agent.principal_keys import PrincipalKeys
from domain_agent.spool.files import Files
from domain_agent.spool.spool import Spool
from mesh.errors import EvidenceUnavailable
from mesh.evidence.checkpoints import (
    Checkpoint,
    CheckpointInvalid,
    open_checkpoint,
    sign_checkpoint,
)
from mesh.evidence.events import agent_source
from mesh.evidence.wrapping import wrap
from mesh.v1 import audit_pb2, audit_pb2_grpc
from mesh.wire.status import from_rpc_error

log = logging.getLogger(__name__)

EVERY_SECONDS = 1.0
EVERY_EVENTS = 1_000
IDLE_SECONDS = 5.0
MAX_KEYS = 500


class SignedHeads:
    """Signs the log's head, and keeps the last note so that no other is ever signed for it."""

    def __init__(self, path: Path, identity: AgentIdentity, files: Files, clock: Clock) -> None:
        self._path, self._identity, self._files, self._clock = path, identity, files, clock
        self._public = identity.key.public_key().public_bytes_raw()
        self.note = path.read_text(encoding="utf-8") if path.exists() else ""

    @property
    def last(self) -> Checkpoint | None:
        """What was signed last; None before the first. Raises CheckpointInvalid."""
        if not self.note:
            return None
        found = open_checkpoint(self.note, self._public)
        if (found.domain, found.agent) != (self._identity.domain, self._identity.id):
            raise CheckpointInvalid(f"{self._path} is of another agent: {found.source}")
        return found

    def sign(self, size: int, root: bytes) -> None:
        """Sign a head durably. Raises OSError; then the last note stays."""
        checkpoint = Checkpoint(
            self._identity.domain, self._identity.id, size, root, self._clock.now()
        )
        note = sign_checkpoint(checkpoint, self._public, self._identity.key.sign)
        self._files.replace(self._path, note.encode())
        self.note = note


class Witnessing:
    """One thread that signs heads as the log grows, and reports them until they are taken.

    `evidence_key` is the control plane's key for wrapping; None while the agent knows none.
    `enforced` is the revision in force.
    """

    def __init__(  # noqa: PLR0913 - what is reported, and the line it goes over
        self,
        *,
        link: Link,
        identity: AgentIdentity,
        spool: Spool,
        heads: SignedHeads,
        keys: PrincipalKeys,
        evidence_key: Callable[[], bytes | None],
        enforced: Callable[[], int],
    ) -> None:
        self._link, self._spool, self._heads, self._keys = link, spool, heads, keys
        self._source = agent_source(identity.domain, identity.id)
        self._evidence_key, self._enforced = evidence_key, enforced
        self._due = False
        self._stub = audit_pb2_grpc.AuditServiceStub(link.channel)
        self._stopping = threading.Event()
        self._witnessed = ""
        self._erased: set[str] = set()
        self._thread = threading.Thread(target=self._run, name="witnessing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Report once more, and end."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause, size = 0.2, -1
        while not self._stopping.is_set():
            self._wait(size)
            try:
                size = self._sign()
                self._report()
                pause = 0.2
            except grpc.RpcError as error:
                log.warning("checkpoint waits: %s", from_rpc_error(error, self._link.target))
                self._stopping.wait(pause)
                pause, size = min(pause * 2, 5.0), -1
            except Exception:
                log.exception("the log's head can't be reported; it is tried again")
                self._stopping.wait(5.0)
                size = -1

    def _wait(self, size: int) -> None:
        """Until there is something to sign, though not more often than promised."""
        if size < 0:
            return
        idle = 0.0
        while idle < (EVERY_SECONDS if self._due else IDLE_SECONDS):
            if self._stopping.is_set():
                return
            if self._spool.wait_after(size, EVERY_SECONDS / 4):
                self._spool.wait_after(size + EVERY_EVENTS - 1, EVERY_SECONDS)
                return
            idle += EVERY_SECONDS / 4

    def _sign(self) -> int:
        head, last = self._spool.head, self._heads.last
        if last is None or last.size < head.size:
            self._heads.sign(head.size, head.root)
        return head.size

    def _report(self) -> None:
        """Say what there is until nothing is left. Raises grpc.RpcError."""
        while True:
            reader = self._evidence_key()
            waiting = self._keys.undelivered(MAX_KEYS) if reader is not None else []
            note = self._heads.note
            request = audit_pb2.ReportEvidenceRequest(
                checkpoint=note if note != self._witnessed else "", erased=sorted(self._erased)
            )
            if reader is not None:
                request.keys.extend(
                    audit_pb2.WrappedKey(id=key.id, wrapped=wrap(key, self._source, reader))
                    for key in waiting
                )
            reply = self._stub.ReportEvidence(
                request, metadata=self._link.metadata, timeout=CALL_SECONDS
            )
            self._witnessed = note
            self._keys.delivered(reply.kept)
            self._erased.clear()
            self._due = any(one.revision > self._enforced() for one in reply.erasures)
            for erasure in reply.erasures:
                if erasure.revision <= self._enforced():
                    self._erase(erasure.id, erasure.principal)
            if not self._erased and not (reply.kept and len(waiting) == MAX_KEYS):
                return

    def _erase(self, erasure: str, principal: str) -> None:
        try:
            destroyed = self._keys.destroy(principal)
        except (OSError, EvidenceUnavailable):
            log.exception("erasure %s is not done; it is tried again", erasure)
            return
        log.info("erasure %s: destroyed %d keys", erasure, destroyed)
        self._erased.add(erasure)
