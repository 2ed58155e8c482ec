"""Streams under way, and how a reading ends when its client is gone."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import grpc
import pyarrow as pa

from domain_agent.flight.framing import batch_frame, schema_frame
from domain_agent.flight.ports import Reading
from mesh import errors

RECEIPT_KEY: Final = "x-mesh-receipt"
CLIENT_LEFT: Final = "client_left"
CANCELLED: Final = "cancelled"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Opened:
    """A reading with what its client was told: the schema, and the ticket it came with."""

    reading: Reading
    schema: bytes
    principal: str
    ticket: bytes


class Readings:
    """Streams readings to clients, and makes sure that each one's end is recorded."""

    def __init__(self) -> None:
        # grpcio calls back on the thread that polls for all calls, which must not wait for a disk.
        self._closer = ThreadPoolExecutor(2, thread_name_prefix="reading-end")
        self._lock = threading.Lock()
        self._cancels: dict[tuple[str, bytes], Callable[[], None]] = {}

    def stop(self) -> None:
        """Wait until every end is recorded."""
        self._closer.shutdown(wait=True)

    def cancel(self, principal: str, ticket: bytes) -> bool:
        """End the stream of a ticket. False when none runs."""
        with self._lock:
            cancel = self._cancels.get((principal, ticket))
        if cancel is None:
            return False
        cancel()
        return True

    def frames(self, opened: Opened, context: grpc.ServicerContext) -> Iterator[bytes]:
        """The FlightData messages; the receipt goes out before the first."""
        reading, name = opened.reading, (opened.principal, opened.ticket)
        ended, cancelled = threading.Event(), threading.Event()

        def left() -> None:
            if not ended.is_set():
                self._closer.submit(_end, reading, CLIENT_LEFT)

        def cancel() -> None:
            cancelled.set()
            _end(reading, CANCELLED)
            context.cancel()

        reason: str | None = errors.InternalError.reason
        with self._lock:
            self._cancels[name] = cancel
        try:
            if not context.add_callback(left):
                reason = CLIENT_LEFT
                return
            _check_schema(opened)
            context.send_initial_metadata(((RECEIPT_KEY, reading.receipt),))
            yield schema_frame(opened.schema)
            for batch in reading:
                yield batch_frame(batch)
            if cancelled.is_set():
                # A cut result must not end as a whole one does.
                context.cancel()
            reason = None
        except (GeneratorExit, grpc.RpcError):
            reason = CLIENT_LEFT
            raise
        except errors.MeshError as error:
            reason = error.reason_id
            raise
        finally:
            with self._lock:
                self._cancels.pop(name, None)
            ended.set()
            reading.close(reason)


def _check_schema(opened: Opened) -> None:
    if opened.reading.schema == opened.schema:
        return
    now, told = (
        pa.ipc.read_schema(pa.py_buffer(schema))
        for schema in (opened.reading.schema, opened.schema)
    )
    if not now.equals(told, check_metadata=True):
        raise errors.StatementStale(
            "What the statement may return changed since it was prepared; prepare it again.",
            receipt=opened.reading.receipt,
        )


def _end(reading: Reading, reason: str) -> None:
    try:
        reading.close(reason)
    except Exception:
        _LOG.exception("the end of %s (%s) could not be recorded", reading.receipt, reason)
        raise
