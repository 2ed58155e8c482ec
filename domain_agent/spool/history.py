"""Segments that are stored downstream, kept for a while to rehearse policies on."""

import logging
from collections.abc import Iterator
from pathlib import Path

from domain_agent.spool.records import frames

log = logging.getLogger(__name__)

FOLDER = "history"


class History:
    """A folder of whole segments, oldest dropped first beyond a number of bytes.

    Nothing rests on it but rehearsals: a segment that can't be kept is dropped.
    """

    def __init__(self, spool: Path, quota: int) -> None:
        self._folder, self._quota = spool / FOLDER, quota

    def keep(self, segment: Path) -> None:
        """Take a segment that the spool is done with. Raises OSError when it can't be removed."""
        try:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            segment.replace(self._folder / segment.name)
            self._trim()
        except OSError as error:
            log.warning("%s is not kept for rehearsals: %s", segment.name, error)
            segment.unlink(missing_ok=True)

    def records_after(self, sequence: int) -> Iterator[tuple[int, bytes]]:
        """Kept records that follow a sequence, in order, with theirs; damage ends a segment."""
        for path in self._segments():
            first = int(path.stem)
            try:
                data = path.read_bytes()
            except FileNotFoundError:
                continue  # It was dropped meanwhile.
            for number, found in enumerate(frames(data)):
                # The first frame is the segment's header.
                if number and first + number - 1 > sequence:
                    yield first + number - 1, found.payload

    def _segments(self) -> list[Path]:
        return sorted(self._folder.glob("*.log")) if self._folder.exists() else []

    def _trim(self) -> None:
        kept = self._segments()
        size = sum(path.stat().st_size for path in kept)
        while kept and size > self._quota:
            oldest = kept.pop(0)
            size -= oldest.stat().st_size
            oldest.unlink()
