"""Ships the spool to the control plane's AuditService: the embedded transport of evidence."""

import logging
import threading
from typing import Protocol

import grpc

from domain_agent.control.link import CALL_SECONDS, Link
from domain_agent.spool.spool import Spool
from mesh.errors import EvidenceGap, MeshError
from mesh.evidence.events import UsageEvent
from mesh.v1 import audit_pb2, audit_pb2_grpc
from mesh.wire.events import event_to_proto
from mesh.wire.status import from_rpc_error

log = logging.getLogger(__name__)

BATCH_BYTES = 512 * 1024
GATHER_SECONDS = 0.1


class Transport(Protocol):
    """Takes consecutive events and answers the last sequence that is stored downstream."""

    def send(self, events: list[UsageEvent]) -> int:
        """Raises a MeshError when nothing is known to be stored."""


class AuditTransport:
    """AuditService.AppendEvents over the agent's link."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._stub = audit_pb2_grpc.AuditServiceStub(link.channel)

    def send(self, events: list[UsageEvent]) -> int:
        request = audit_pb2.AppendEventsRequest(events=[event_to_proto(e) for e in events])
        try:
            reply = self._stub.AppendEvents(
                request, metadata=self._link.metadata, timeout=CALL_SECONDS
            )
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._link.target) from error
        return reply.stored_sequence


class Shipper:
    """One thread that sends what the spool holds, in order, until it is acknowledged."""

    def __init__(self, spool: Spool, transport: Transport) -> None:
        self._spool, self._transport = spool, transport
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shipping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the batch under way; what is left is sent at the next start."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.1
        sent = self._spool.acknowledged
        while not self._stopping.is_set():
            if not self._spool.wait_after(sent, 0.25):
                continue
            # What follows within a moment goes in the same call.
            self._stopping.wait(GATHER_SECONDS)
            try:
                sent = self._ship(sent)
                pause = 0.1
            except MeshError as error:
                log.warning("evidence waits: %s", error)
                self._stopping.wait(pause)
                pause = min(pause * 2, 5.0)
            except Exception:
                log.exception("evidence can't be shipped")
                self._stopping.wait(5.0)

    def _ship(self, sent: int) -> int:
        events = self._spool.read_after(sent, BATCH_BYTES)
        try:
            stored = self._transport.send(events)
        except EvidenceGap as gap:
            expected = int(gap.metadata.get("sequence", "0"))
            log.warning("the control plane continues at event %d, not %d", expected, sent + 1)
            if not self._spool.holds(expected):
                raise
            return expected - 1
        self._spool.acknowledge(stored)
        return stored
