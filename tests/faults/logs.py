"""A log on disk to cut, to change, and to open again."""

import random
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from domain_agent.spool.files import Files
from domain_agent.spool.segments import Loaded, SpoolDamaged, load_segments
from domain_agent.spool.spool import Spool, SpoolLimits
from mesh.evidence.canonical import canonical
from mesh.evidence.checkpoints import Checkpoint
from mesh.evidence.codec import Draft
from mesh.evidence.events import EventType

NOW = datetime(2026, 11, 24, 22, tzinfo=UTC)
SOURCE = "/agents/bookings/bookings-1"
TAIL = 64 * 1024
_SIZES = (40, 300, 700, 2_500)


def draft(name: str, kind: EventType = EventType.REFUSED, filling: bytes = b"") -> Draft:
    """An event of some size."""
    data = canonical({"n": name, "filling": filling.hex()})
    return Draft(f"{name}-{kind.state}", SOURCE, kind, NOW, name, data)


def head_of(spool: Spool) -> Checkpoint:
    """What an agent would sign now."""
    return Checkpoint("bookings", "bookings-1", spool.head.size, spool.head.root, NOW)


def records_of(loaded: Loaded) -> list[bytes]:
    """All records that were found on disk, in order."""
    found: list[bytes] = []
    for segment in loaded.segments:
        if segment.ends:
            found += segment.read(segment.first, 1 << 40)
    return found


@dataclass(frozen=True, slots=True)
class Log:
    """Some segments as they were written, all their records, and two signed heads."""

    files: dict[Path, bytes]
    records: list[bytes]
    ends: list[int]
    middle: Checkpoint
    head: Checkpoint

    @property
    def folder(self) -> Path:
        """Where the segments lie."""
        return self.last.parent

    @property
    def last(self) -> Path:
        """The segment that was written to when the agent stopped."""
        return max(self.files)

    @property
    def before_last(self) -> int:
        """How many records lie in earlier segments."""
        return len(self.records) - len(self.ends)

    def whole_at(self, size: int) -> tuple[int, int]:
        """How many records are whole when the last segment has that size, and where they end."""
        whole = sum(end <= size for end in self.ends)
        header = self.ends[0] - len(self.records[self.before_last]) - 8
        end = self.ends[whole - 1] if whole else header
        return self.before_last + whole, end if size >= end else 0

    def changed(self, path: Path, data: bytes) -> None:
        """Lay the log out as it was written, but for one file."""
        for found in self.folder.iterdir():
            if found not in self.files:
                found.unlink()
        for file, kept in self.files.items():
            wanted = data if file == path else kept
            if not file.exists() or file.read_bytes() != wanted:
                file.write_bytes(wanted)

    def opened(self, signed: Checkpoint | None) -> list[bytes] | str:
        """The records that a starting agent goes on from, or why it doesn't start."""
        try:
            return records_of(load_segments(self.folder, Files(), signed))
        except SpoolDamaged as damage:
            return str(damage)


def written_log(folder: Path, seed: int) -> Log:
    """Two small segments and one of somewhat more than 64 KiB, with events of many sizes."""
    rng = random.Random(seed)  # noqa: S311 - a seeded series
    records: list[bytes] = []

    def write(spool: Spool) -> None:
        name = f"read-{len(records)}"
        one = draft(name, filling=rng.randbytes(rng.choice(_SIZES)))
        records.append(one.record(spool.append(one)))

    small = Spool(folder, Files(), SpoolLimits(segment=6_000))
    while len(list(folder.glob("*.log"))) < 3:
        write(small)
    large = Spool(folder, Files(), SpoolLimits(segment=1 << 20))
    middle = None
    while max(folder.glob("*.log")).stat().st_size < TAIL + 4_000:
        write(large)
        middle = middle or head_of(large)
    assert middle is not None
    files = {path: path.read_bytes() for path in folder.glob("*.log")}
    ends = list(load_segments(folder, Files(), None).segments[-1].ends)
    return Log(files, records, ends, middle, head_of(large))
