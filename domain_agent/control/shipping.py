"""Ships the spool downstream; here too: the embedded transport, to the control plane itself."""

import logging
import threading
from collections.abc import Sequence
from typing import Protocol

import grpc

from domain_agent.control.link import CALL_SECONDS, Link
from domain_agent.spool.spool import Spool
from mesh.errors import EvidenceGap, EvidenceUnavailable, MeshError
from mesh.evidence.codec import decode_event
from mesh.v1 import audit_pb2, audit_pb2_grpc
from mesh.wire.events import event_to_proto
from mesh.wire.status import from_rpc_error

log = logging.getLogger(__name__)

BATCH_BYTES = 512 * 1024
# So much goes at once; with less, what follows within a moment goes along.
GATHER_BYTES = 128 * 1024
GATHER_SECONDS = 0.1
# While something is under way, it is looked for more often.
IDLE_SECONDS = 0.25
BUSY_SECONDS = 0.02


class Transport(Protocol):
    """Stores consecutive records downstream, each once, in order.

    When a method raises a MeshError, what is not stored is forgotten and has to be sent again.
    """

    def send(self, first: int, records: Sequence[bytes]) -> int:
        """Take the records of the sequences from `first` on; how many of them it took."""

    def stored(self) -> int:
        """The last sequence stored downstream; 0 before that is known."""

    def close(self) -> int:
        """Wait a moment for what is under way, and end; the last sequence stored downstream."""


class AuditTransport:
    """AuditService.AppendEvents over the agent's link; what a call took is stored."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._stub = audit_pb2_grpc.AuditServiceStub(link.channel)
        self._stored = 0

    def send(self, first: int, records: Sequence[bytes]) -> int:
        events = [event_to_proto(decode_event(record)) for record in records]
        try:
            reply = self._stub.AppendEvents(
                audit_pb2.AppendEventsRequest(events=events),
                metadata=self._link.metadata,
                timeout=CALL_SECONDS,
            )
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._link.target) from error
        self._stored = reply.stored_sequence
        return len(records)

    def stored(self) -> int:
        return self._stored

    def close(self) -> int:
        return self._stored


class Shipper:
    """One thread that sends what the spool holds, in order, until it is acknowledged."""

    def __init__(self, spool: Spool, transport: Transport) -> None:
        self._spool, self._transport = spool, transport
        self._sent = spool.acknowledged
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shipping", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the batch under way; what is left is sent at the next start."""
        self._stopping.set()
        self._thread.join()
        self._acknowledge(self._transport.close())

    def _run(self) -> None:
        pause = 0.1
        while not self._stopping.is_set():
            try:
                self._ship()
                self._acknowledge(self._transport.stored())
                pause = 0.1
            except EvidenceGap as gap:
                self._rewind(gap)
            except MeshError as error:
                log.warning("evidence waits: %s", error)
                self._sent = self._spool.acknowledged
                self._stopping.wait(pause)
                pause = min(pause * 2, 5.0)
            except Exception:
                log.exception("evidence can't be shipped")
                self._stopping.wait(5.0)

    def _ship(self) -> None:
        """Send what follows, if anything does."""
        sent = self._sent
        under_way = sent > self._spool.acknowledged
        if not self._spool.wait_after(sent, BUSY_SECONDS if under_way else IDLE_SECONDS):
            return
        records = self._spool.read_records_after(sent, BATCH_BYTES)
        if not records:
            raise EvidenceUnavailable(f"event {sent + 1} is not on this disk, so none is sent")
        last, few = sent + len(records), sum(map(len, records)) < GATHER_BYTES
        if few and not self._spool.wait_after(last, 0.0):
            self._stopping.wait(GATHER_SECONDS)
            records = self._spool.read_records_after(sent, BATCH_BYTES)
        self._sent += self._transport.send(sent + 1, records)

    def _acknowledge(self, stored: int) -> None:
        # Downstream can have more than the mark on disk says. What was not sent again is kept
        # until it is, as only then is it known to be equal.
        known = min(stored, self._sent)
        if known > self._spool.acknowledged:
            self._spool.acknowledge(known)

    def _rewind(self, gap: EvidenceGap) -> None:
        """Go on where the control plane does, which has less than it once acknowledged."""
        expected = int(gap.metadata.get("sequence", "0"))
        log.warning("the control plane continues at event %d, not %d", expected, self._sent + 1)
        if self._spool.holds(expected):
            self._sent = expected - 1
        else:
            log.error("event %d is not here any more; evidence waits", expected)
            self._stopping.wait(5.0)
