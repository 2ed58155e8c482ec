"""Segments: files of records with consecutive sequences, named by the first one.

The first frame of a segment is its header: the sequence it starts at and the Merkle frontier of
all records before it, so that the tree goes on when older segments are gone.
"""

import json
import logging
from array import array
from dataclasses import dataclass, field
from pathlib import Path

from domain_agent.spool.files import Files
from domain_agent.spool.records import frame, frames, has_frame_after
from mesh.evidence.canonical import canonical
from mesh.evidence.checkpoints import Checkpoint
from mesh.evidence.codec import Place, place_of
from mesh.evidence.merkle import Frontier, leaf_hash

log = logging.getLogger(__name__)

VERSION = 1


class SpoolDamaged(Exception):
    """Evidence on disk is not what was written; a person must look before the agent serves."""


@dataclass(slots=True)
class Segment:
    """One file: where each of its durable records ends."""

    path: Path
    first: int
    start: int
    ends: "array[int]" = field(default_factory=lambda: array("Q"))

    @property
    def next(self) -> int:
        """The sequence after the last record."""
        return self.first + len(self.ends)

    @property
    def size(self) -> int:
        """Durable bytes."""
        return self.ends[-1] if self.ends else self.start

    def read(self, start: int, most: int) -> list[bytes]:
        """Records from a sequence on, at most that many bytes but at least one record."""
        index = start - self.first
        offset = self.ends[index - 1] if index else self.start
        stop = index + 1
        while stop < len(self.ends) and self.ends[stop] - offset <= most:
            stop += 1
        with self.path.open("rb") as file:
            file.seek(offset)
            data = file.read(self.ends[stop - 1] - offset)
        records = [found.payload for found in frames(data)]
        if len(records) != stop - index:
            raise SpoolDamaged(f"{self.path} changed on disk at sequence {start + len(records)}")
        return records


@dataclass(slots=True)
class Loaded:
    """What is on disk: its segments, the tree's frontier, and where each record stands."""

    segments: list[Segment]
    frontier: Frontier
    places: list[Place]


def header(frontier: Frontier) -> bytes:
    """The first frame of the segment that follows these records."""
    document = {
        "spool": VERSION,
        "first": frontier.size + 1,
        "frontier": [node.hex() for node in frontier.nodes],
    }
    return frame(canonical(document))


def segment_path(folder: Path, first: int) -> Path:
    """Where the segment that starts with a sequence lies."""
    return folder / f"{first:020d}.log"


def load_segments(folder: Path, files: Files, signed: Checkpoint | None) -> Loaded:
    """Every segment, oldest first. Raises SpoolDamaged.

    A torn record at the very end was never acknowledged to anybody: it is kept beside the
    segment as `.torn`, reported, and cut off. Any other damage raises, and so does a log that
    is not the one whose head (`signed`) the agent signed.
    """
    paths = sorted(folder.glob("*.log"))
    loaded = Loaded([], Frontier(), [])
    for path in paths:
        _load(path, loaded, is_last=path == paths[-1], files=files, signed=signed)
    if signed is not None and loaded.frontier.size < signed.size:
        raise SpoolDamaged(
            f"{folder}: evidence {loaded.frontier.size + 1} to {signed.size} is missing at the "
            "end; the agent has signed for it"
        )
    return loaded


def _load(
    path: Path, loaded: Loaded, *, is_last: bool, files: Files, signed: Checkpoint | None
) -> None:
    data = path.read_bytes()
    found = iter(frames(data))
    first_frame = next(found, None)
    if first_frame is None:
        _drop_unborn(path, data, is_last=is_last)
        return
    frontier = _read_header(path, first_frame.payload)
    if loaded.segments and frontier != loaded.frontier:
        raise SpoolDamaged(_gap(path, loaded.frontier, frontier))
    segment = Segment(path, frontier.size + 1, first_frame.end)
    for record in found:
        place = _place(path, record.payload, segment.next)
        frontier = frontier.append(leaf_hash(record.payload))
        if signed is not None and signed.size == frontier.size and signed.root != frontier.root:
            raise SpoolDamaged(f"{path}: evidence up to {signed.size} is not what was signed")
        segment.ends.append(record.end)
        loaded.places.append(place)
    if segment.size < len(data):
        _cut_torn_end(segment, data, is_last=is_last, files=files)
    loaded.segments.append(segment)
    loaded.frontier = frontier


def _read_header(path: Path, payload: bytes) -> Frontier:
    try:
        document = json.loads(payload)
        nodes = tuple(bytes.fromhex(node) for node in document["frontier"])
        frontier = Frontier(document["first"] - 1, nodes)
        known = document["spool"] == VERSION and segment_path(path.parent, frontier.size + 1)
    except (ValueError, KeyError, TypeError) as error:
        raise SpoolDamaged(f"{path}: its header can't be read") from error
    if known != path:
        raise SpoolDamaged(f"{path}: its header is of another segment or another version")
    return frontier


def _place(path: Path, record: bytes, expected: int) -> Place:
    try:
        place = place_of(record)
    except ValueError as error:
        raise SpoolDamaged(f"{path}: event {expected} can't be read") from error
    if place.sequence != expected:
        raise SpoolDamaged(f"{path}: found event {place.sequence}, expected {expected}")
    return place


def _gap(path: Path, before: Frontier, after: Frontier) -> str:
    if after.size > before.size:
        return f"{path.parent}: evidence {before.size + 1} to {after.size} is missing"
    return f"{path}: its header does not follow from the records before it"


def _drop_unborn(path: Path, data: bytes, *, is_last: bool) -> None:
    """Remove a segment whose header never was whole: nothing can have been written after it."""
    if not is_last or has_frame_after(data, 0):
        raise SpoolDamaged(f"{path}: its header is damaged")
    log.warning("%s: removed, as the agent stopped while it made the file", path)
    path.unlink()


def _cut_torn_end(segment: Segment, data: bytes, *, is_last: bool, files: Files) -> None:
    damage = segment.size
    if not is_last or has_frame_after(data, damage):
        raise SpoolDamaged(
            f"{segment.path}: damaged at byte {damage} (event {segment.next}), and it is no torn "
            "write; compare with what the control plane has, and bring back a whole copy of it"
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
