"""A read under way: batches that are still allowed, counted, and an end that is recorded once."""

import logging
import threading
from collections.abc import Callable, Iterator

from domain_agent.clock import Clock
from domain_agent.flight.ports import Batch
from domain_agent.reads.receipts import Receipts, Totals
from domain_agent.worker.running import RunningStatement
from mesh.errors import EvidenceUnavailable, MeshError

log = logging.getLogger(__name__)


class GovernedReading:
    """Hands out what the worker sends, as long as `guard` doesn't raise; at its end, `release`."""

    def __init__(
        self,
        running: RunningStatement,
        receipt: str,
        receipts: Receipts,
        guard: Callable[[], None],
        release: Callable[[], None],
        clock: Clock,
    ) -> None:
        self.receipt = receipt
        self.schema = running.schema
        self._running, self._receipts, self._guard = running, receipts, guard
        self._release, self._clock = release, clock
        self._began = clock.elapsed()
        self._rows = self._bytes = 0
        self._closed = False
        self._lock = threading.Lock()

    def __iter__(self) -> Iterator[Batch]:
        """The batches, none after `close`. Raises a MeshError after recording it as the end."""
        try:
            for batch in self._running:
                self._guard()
                if not self._count(batch.rows, len(batch.body)):
                    return
                yield Batch(batch.header, batch.body, batch.rows)
        except MeshError as error:
            self.close(error.reason_id)
            raise

    def _count(self, rows: int, size: int) -> bool:
        """Add to what the end will say; False once that is said, and nothing may leave any more."""
        with self._lock:
            if not self._closed:
                self._rows += rows
                self._bytes += size
            return not self._closed

    def close(self, reason: str | None) -> None:
        """Stop the worker and record the end; only the first call counts."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._running.close()
        self._release()
        duration = round((self._clock.elapsed() - self._began) * 1000)
        totals = Totals(self._rows, self._bytes, duration)
        try:
            if reason is None:
                self._receipts.completed(self.receipt, totals)
            else:
                self._receipts.aborted(self.receipt, totals, reason)
        except EvidenceUnavailable:
            # It is owed, and written when the disk takes it; or the next start ends this receipt.
            log.exception("the end of read %s can't be recorded now", self.receipt)
