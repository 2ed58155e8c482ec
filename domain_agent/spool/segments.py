"""Segments: files of records with consecutive sequences, named by the first one."""

import logging
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from domain_agent.spool.files import Files
from domain_agent.spool.records import frames, has_frame_after
from mesh.evidence.codec import decode_event
from mesh.evidence.events import UsageEvent

log = logging.getLogger(__name__)


class SpoolDamaged(Exception):
    """Evidence on disk is not what was written; a person must look before the agent serves."""


@dataclass(slots=True)
class Segment:
    """One file: where each of its durable records ends."""

    path: Path
    first: int
    ends: "array[int]" = field(default_factory=lambda: array("Q"))

    @property
    def next(self) -> int:
        """The sequence after the last record."""
        return self.first + len(self.ends)

    @property
    def size(self) -> int:
        """Durable bytes."""
        return self.ends[-1] if self.ends else 0

    def cut(self, after: int) -> None:
        """Forget records from a sequence on."""
        del self.ends[max(0, after - self.first) :]

    def read(self, start: int, most: int) -> list[bytes]:
        """Payloads from a sequence on, at most that many bytes but at least one record."""
        index = start - self.first
        offset = self.ends[index - 1] if index else 0
        stop = index + 1
        while stop < len(self.ends) and self.ends[stop] - offset <= most:
            stop += 1
        with self.path.open("rb") as file:
            file.seek(offset)
            data = file.read(self.ends[stop - 1] - offset)
        payloads = [found.payload for found in frames(data)]
        if len(payloads) != stop - index:
            raise SpoolDamaged(f"{self.path} changed on disk at sequence {start + len(payloads)}")
        return payloads


def segment_path(folder: Path, first: int) -> Path:
    """Where the segment that starts with a sequence lies."""
    return folder / f"{first:020d}.log"


def load_segments(folder: Path, files: Files) -> tuple[list[Segment], list[UsageEvent]]:
    """Every segment with its events, oldest first. Raises SpoolDamaged.

    A torn record at the very end was never acknowledged to anybody: it is kept beside the
    segment as `.torn`, reported, and cut off. Any other damage raises.
    """
    paths = sorted(folder.glob("*.log"))
    segments: list[Segment] = []
    events: list[UsageEvent] = []
    for path in paths:
        segment, found = _load(path, is_last=path == paths[-1], files=files)
        if segments and segment.first != segments[-1].next:
            raise SpoolDamaged(
                f"{folder}: evidence {segments[-1].next} to {segment.first - 1} is missing"
            )
        segments.append(segment)
        events.extend(found)
    return segments, events


def _load(path: Path, *, is_last: bool, files: Files) -> tuple[Segment, list[UsageEvent]]:
    data = path.read_bytes()
    segment = Segment(path, int(path.stem))
    events: list[UsageEvent] = []
    for found in frames(data):
        event = decode_event(found.payload)
        if event.sequence != segment.next:
            raise SpoolDamaged(f"{path}: found event {event.sequence}, expected {segment.next}")
        segment.ends.append(found.end)
        events.append(event)
    if segment.size < len(data):
        _cut_torn_end(segment, data, is_last=is_last, files=files)
    return segment, events


def _cut_torn_end(segment: Segment, data: bytes, *, is_last: bool, files: Files) -> None:
    damage = segment.size
    if not is_last or has_frame_after(data, damage):
        raise SpoolDamaged(
            f"{segment.path}: damaged at byte {damage} (event {segment.next}), and it is no torn "
            "write; compare with what the control plane has, then move the file away"
        )
    files.replace(segment.path.with_suffix(".torn"), data[damage:])
    files.truncate(segment.path, damage)
    log.warning(
        "%s: cut %d bytes of a torn write after event %d; kept in %s",
        segment.path,
        len(data) - damage,
        segment.next - 1,
        segment.path.with_suffix(".torn").name,
    )
