"""The agent's evidence on disk: an event is durable when `append` returns, or nothing happened."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from domain_agent.spool.files import Files
from domain_agent.spool.records import frame
from domain_agent.spool.segments import Segment, load_segments, segment_path
from mesh.errors import EvidenceUnavailable
from mesh.evidence.codec import decode_event, encode_event
from mesh.evidence.events import EventType, UsageEvent

log = logging.getLogger(__name__)

_ENDS = frozenset({EventType.COMPLETED, EventType.ABORTED})


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """Bytes: `quota` for new reads, `reserve` beyond it for the ends of running ones."""

    quota: int = 1 << 30
    reserve: int = 16 << 20
    segment: int = 8 << 20


@dataclass(slots=True)
class _Pending:
    event: UsageEvent
    record: bytes
    done: bool = False
    error: Exception | None = field(default=None)


class Spool:
    """Append-only log of usage events with group commit; thread-safe.

    A failed write or fsync is never taken for success: what it covered is cut off, its callers
    get EvidenceUnavailable, and the next append tries anew on a new segment.
    """

    def __init__(self, folder: Path, files: Files, limits: SpoolLimits) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._files, self._limits = folder, files, limits
        self._mark = folder / "acknowledged"
        self._acknowledged = int(self._mark.read_text()) if self._mark.exists() else 0
        self._segments, events = load_segments(folder, files)
        self._next = self._segments[-1].next if self._segments else self._acknowledged + 1
        self._open: dict[str, UsageEvent] = {}
        for event in events:
            self._track(event)
        self._pending: list[_Pending] = []
        self._state, self._commit = threading.Lock(), threading.Lock()
        self._changed = threading.Condition(self._state)
        self._descriptor: int | None = None

    def append(self, number: Callable[[int], UsageEvent]) -> UsageEvent:
        """Make the event durable; `number` builds it for the sequence it gets.

        Raises EvidenceUnavailable when it is not durable; then it is not in the log either.
        """
        with self._state:
            event = number(self._next)
            self._admit(event)
            pending = _Pending(event, frame(encode_event(event)))
            self._pending.append(pending)
            self._next += 1
        with self._commit:
            if not pending.done:
                self._flush()
        if pending.error is not None:
            raise EvidenceUnavailable(
                "the agent can't make this read's evidence durable, so no data leaves; "
                "its operator must look at the disk"
            ) from pending.error
        return event

    def unfinished(self) -> list[UsageEvent]:
        """The `read.started` events whose read has no end yet."""
        with self._state:
            return list(self._open.values())

    def read_after(self, sequence: int, most: int) -> list[UsageEvent]:
        """Durable events that follow a sequence, at most about that many bytes."""
        with self._state:
            segment = next((s for s in self._segments if s.first <= sequence + 1 < s.next), None)
        if segment is None:
            return []
        return [decode_event(payload) for payload in segment.read(sequence + 1, most)]

    def holds(self, sequence: int) -> bool:
        """Whether the event of that sequence is still on disk."""
        with self._state:
            return any(s.first <= sequence < s.next for s in self._segments)

    def wait_after(self, sequence: int, seconds: float) -> bool:
        """Wait until an event follows the sequence; False when none does in that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._durable > sequence, seconds)

    def acknowledge(self, sequence: int) -> None:
        """Remember that everything up to a sequence is stored downstream, and drop what may go.

        Segments go whole, and the mark on disk comes before that. A mark that is behind costs
        nothing but sending some events again, so it is not written for every acknowledgement.
        """
        with self._state:
            self._acknowledged = max(sequence, self._acknowledged)
            gone = self._prunable(self._acknowledged)
        if gone:
            self._files.replace(self._mark, str(gone[-1].next - 1).encode())
            with self._state:
                del self._segments[: len(gone)]
            for segment in gone:
                segment.path.unlink()

    def _prunable(self, sequence: int) -> list[Segment]:
        first_open = min((e.sequence for e in self._open.values()), default=sequence + 1)
        floor = min(sequence, first_open - 1)
        return [segment for segment in self._segments[:-1] if segment.next - 1 <= floor]

    @property
    def acknowledged(self) -> int:
        """The last sequence stored downstream."""
        return self._acknowledged

    @property
    def backlog(self) -> int:
        """How many durable events are not stored downstream yet."""
        with self._state:
            return self._durable - self._acknowledged

    @property
    def _durable(self) -> int:
        return self._segments[-1].next - 1 if self._segments else self._acknowledged

    def _admit(self, event: UsageEvent) -> None:
        used = sum(segment.size for segment in self._segments)
        room = self._limits.quota + (self._limits.reserve if event.type in _ENDS else 0)
        if used >= room:
            raise EvidenceUnavailable(
                f"the agent's evidence fills its quota of {self._limits.quota} bytes, so no data "
                "leaves; it recovers when the control plane has taken the backlog"
            )

    def _track(self, event: UsageEvent) -> None:
        if event.type is EventType.STARTED:
            self._open[event.receipt] = event
        else:
            self._open.pop(event.receipt, None)

    def _flush(self) -> None:
        with self._state:
            batch, self._pending = self._pending, []
        try:
            segment, descriptor = self._writable(batch[0].event.sequence)
            self._files.write(descriptor, b"".join(item.record for item in batch))
            self._files.sync(descriptor)
        except Exception as error:  # noqa: BLE001 - whatever it is, the events are not durable
            self._fail(batch, error)
            return
        with self._changed:
            for item in batch:
                segment.ends.append(segment.size + len(item.record))
                self._track(item.event)
                item.done = True
            self._changed.notify_all()

    def _writable(self, sequence: int) -> tuple[Segment, int]:
        if self._descriptor is not None and self._segments[-1].size < self._limits.segment:
            return self._segments[-1], self._descriptor
        self._close_descriptor()
        last = self._segments[-1] if self._segments else None
        if last is not None and last.path.stat().st_size != last.size:
            self._files.truncate(last.path, last.size)
        if last is not None and last.size < self._limits.segment:
            self._descriptor = self._files.open(last.path)
            return last, self._descriptor
        segment = Segment(segment_path(self._folder, sequence), sequence)
        self._descriptor = self._files.create(segment.path)
        with self._state:
            self._segments.append(segment)
        return segment, self._descriptor

    def _fail(self, batch: list[_Pending], error: Exception) -> None:
        """Nothing of the batch, nor of what was numbered after it, is in the log."""
        log.error("evidence can't be written: %s", error)
        self._close_descriptor()
        with self._state:
            for item in [*batch, *self._pending]:
                item.done, item.error = True, error
            self._pending = []
            self._next = batch[0].event.sequence

    def _close_descriptor(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._files.close(descriptor)
