"""The agent's evidence on disk: an event is durable when `append` returns, or nothing happened."""

import logging
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from domain_agent.spool.files import Files
from domain_agent.spool.history import History
from domain_agent.spool.pending import Pending
from domain_agent.spool.records import MAX_PAYLOAD, frame
from domain_agent.spool.segments import (
    Segment,
    SpoolDamaged,
    header,
    load_segments,
    segment_path,
)
from mesh.errors import EvidenceUnavailable
from mesh.evidence.checkpoints import Checkpoint
from mesh.evidence.codec import Draft, decode_event
from mesh.evidence.events import EventType, UsageEvent
from mesh.evidence.merkle import Frontier, leaf_hash

log = logging.getLogger(__name__)

# Room is left for the fields around an event's data.
MAX_DATA = MAX_PAYLOAD - 2_000
ENDS = frozenset({EventType.COMPLETED, EventType.ABORTED})


@dataclass(frozen=True, slots=True)
class SpoolLimits:
    """Bytes: `quota` for new reads, `reserve` beyond it for the ends of running ones.

    `history` is for what is stored downstream already, beside the quota.
    """

    quota: int = 1 << 30
    reserve: int = 16 << 20
    segment: int = 8 << 20
    history: int = 256 << 20


class Spool:
    """Append-only log of usage events with group commit, and its Merkle tree; thread-safe.

    A failed write or fsync is never taken for success: what it covered is cut off, its callers
    get EvidenceUnavailable, and the next append tries anew. `signed` is the head that the agent
    signed last: a log on disk that does not go on from it is damaged.
    """

    def __init__(
        self, folder: Path, files: Files, limits: SpoolLimits, signed: Checkpoint | None = None
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._files, self._limits = folder, files, limits
        self._mark = folder / "acknowledged"
        self.history = History(folder, limits.history)
        loaded = load_segments(folder, files, signed)
        self._segments, self._frontier = loaded.segments, loaded.frontier
        self._acknowledged = self._read_mark()
        if self._segments and self._segments[0].first > self._acknowledged + 1:
            raise SpoolDamaged(
                f"{folder}: evidence {self._acknowledged + 1} to {self._segments[0].first - 1} is "
                "missing, and is not known to be stored downstream; bring its file back"
            )
        self._used = sum(segment.size for segment in self._segments)
        self._open: dict[str, int] = {}
        for place in loaded.places:
            self._track(place.receipt, place.sequence, place.type)
        self._pending: list[Pending] = []
        self._writing = False
        self._state = threading.Lock()
        self._changed = threading.Condition(self._state)
        self._descriptor: int | None = None
        self._settle_on_disk()

    def append(self, draft: Draft) -> int:
        """Make the event durable; the sequence it got.

        Raises EvidenceUnavailable when it is not durable; then it is not in the log either.
        """
        if len(draft.data) > MAX_DATA:
            raise EvidenceUnavailable(
                f"this read's evidence has {len(draft.data)} bytes, more than the {MAX_DATA} that "
                "are kept of one event, so no data leaves; ask for less in one statement"
            )
        pending = Pending(draft)
        with self._state:
            self._admit(draft)
            self._pending.append(pending)
            waits, self._writing = self._writing, True
        if waits:
            pending.turn.acquire()
        if not pending.done:
            self._lead(pending)
        if not pending.sequence:
            raise EvidenceUnavailable(
                "the agent can't make this read's evidence durable, so no data leaves; "
                "its operator must look at the disk"
            ) from pending.error
        return pending.sequence

    @property
    def head(self) -> Frontier:
        """The tree over every durable event; its size is the last sequence."""
        return self._frontier

    def unfinished(self) -> list[str]:
        """The receipts of reads that have no end yet."""
        with self._state:
            return list(self._open)

    def read_after(self, sequence: int, most: int) -> list[UsageEvent]:
        """Durable events that follow a sequence, at most about that many bytes."""
        return [decode_event(record) for record in self.read_records_after(sequence, most)]

    def read_records_after(self, sequence: int, most: int) -> list[bytes]:
        """The records of durable events that follow a sequence, at most about that many bytes."""
        with self._state:
            segment = next((s for s in self._segments if s.first <= sequence + 1 < s.next), None)
        return [] if segment is None else segment.read(sequence + 1, most)

    @property
    def oldest(self) -> int:
        """The first sequence that is here; that of the next event without any."""
        with self._state:
            return self._segments[0].first if self._segments else self._frontier.size + 1

    def holds(self, sequence: int) -> bool:
        """Whether the event of that sequence is still on disk."""
        with self._state:
            return any(s.first <= sequence < s.next for s in self._segments)

    def wait_after(self, sequence: int, seconds: float) -> bool:
        """Wait until an event follows the sequence; False when none does in that time."""
        with self._changed:
            return self._changed.wait_for(lambda: self._frontier.size > sequence, seconds)

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
                self._used -= sum(segment.size for segment in gone)
            for segment in gone:
                self.history.keep(segment.path)

    def _prunable(self, sequence: int) -> list[Segment]:
        first_open = min(self._open.values(), default=sequence + 1)
        floor = min(sequence, first_open - 1)
        return [segment for segment in self._segments[:-1] if segment.next - 1 <= floor]

    @property
    def acknowledged(self) -> int:
        """The last sequence stored downstream."""
        return self._acknowledged

    @property
    def backlog(self) -> int:
        """How many durable events are not stored downstream yet."""
        return self._frontier.size - self._acknowledged

    def _read_mark(self) -> int:
        mark = int(self._mark.read_text()) if self._mark.exists() else 0
        if mark > self._frontier.size:
            raise SpoolDamaged(
                f"{self._folder}: evidence {self._frontier.size + 1} to {mark} was sent, and is "
                "missing here; numbering can't go on from before it"
            )
        return mark

    def _settle_on_disk(self) -> None:
        """What a killed process wrote and did not sync counts, so it must not be lost any more."""
        if self._segments:
            descriptor = self._files.open(self._segments[-1].path)
            try:
                self._files.sync(descriptor)
            finally:
                self._files.close(descriptor)
            self._files.sync_folder(self._folder)

    def _admit(self, draft: Draft) -> None:
        room = self._limits.quota + (self._limits.reserve if draft.type in ENDS else 0)
        if self._used >= room:
            raise EvidenceUnavailable(
                f"the agent's evidence fills its quota of {self._limits.quota} bytes, so no data "
                "leaves; it recovers when the backlog is stored downstream"
            )

    def _track(self, receipt: str, sequence: int, kind: EventType) -> None:
        if kind is EventType.STARTED:
            self._open[receipt] = sequence
        else:
            self._open.pop(receipt, None)

    def _lead(self, leader: Pending) -> None:
        """Write what waits as one batch, the leader's with it; then let another one lead.

        Whoever comes while a batch is written waits for the next: nobody writes alone for long,
        and a thread that is alone never waits for another.
        """
        with self._state:
            batch, self._pending = self._pending, []
        try:
            self._write(batch)
        finally:
            with self._state:
                following = self._pending[0] if self._pending else None
                self._writing = following is not None
            if following is not None:
                following.turn.release()
            for item in batch:
                item.done = True
                if item is not leader:
                    item.turn.release()

    def _write(self, batch: list[Pending]) -> None:
        try:
            first = self._frontier.size + 1
            records = [item.draft.record(first + place) for place, item in enumerate(batch)]
            framed = [frame(record) for record in records]
            frontier = self._frontier.extend(map(leaf_hash, records))
            segment, descriptor = self._writable()
            self._files.write(descriptor, b"".join(framed))
            self._files.sync(descriptor)
        except Exception as error:  # noqa: BLE001 - whatever it is, the events are not durable
            self._fail(batch, error)
            return
        with self._changed:
            for item, record in zip(batch, framed, strict=True):
                item.sequence = segment.next
                segment.ends.append(segment.size + len(record))
                self._track(item.draft.receipt, item.sequence, item.draft.type)
                self._used += len(record)
            self._frontier = frontier
            self._changed.notify_all()

    def _writable(self) -> tuple[Segment, int]:
        if self._descriptor is not None and self._segments[-1].size < self._limits.segment:
            return self._segments[-1], self._descriptor
        self._close_descriptor()
        last = self._segments[-1] if self._segments else None
        if last is not None and last.path.stat().st_size != last.size:
            self._files.truncate(last.path, last.size)
        if last is not None and last.size < self._limits.segment:
            self._descriptor = self._files.open(last.path)
            return last, self._descriptor
        return self._begin_segment()

    def _begin_segment(self) -> tuple[Segment, int]:
        first, head = self._frontier.size + 1, header(self._frontier)
        path = segment_path(self._folder, first)
        # One that never got its header can stand there from a disk that failed.
        path.unlink(missing_ok=True)
        descriptor = self._files.create(path)
        try:
            self._files.write(descriptor, head)
            self._files.sync(descriptor)
        except BaseException:
            self._files.close(descriptor)
            raise
        segment = Segment(path, first, len(head))
        with self._state:
            self._segments.append(segment)
            self._used += len(head)
        self._descriptor = descriptor
        return segment, descriptor

    def _fail(self, batch: Iterable[Pending], error: Exception) -> None:
        """Nothing of the batch is in the log."""
        log.error("evidence can't be written: %s", error)
        for item in batch:
            item.error = error
        try:
            self._close_descriptor()
        except OSError:
            log.exception("the segment can't be closed; the next write opens it anew")

    def _close_descriptor(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            self._files.close(descriptor)
