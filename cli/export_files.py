"""Exports as files: JSON lines, or Parquet with the same lines in columns."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cli.whole_files import written_whole
from mesh.evidence.envelopes import MAX_LINE, is_envelope
from mesh.evidence.verifying import Finding

_PARQUET = b"PAR1"


@dataclass(frozen=True, slots=True)
class Written:
    """What a file holds."""

    records: int
    size: int
    sha256: str


def write_export(path: Path, lines: Iterable[bytes], *, parquet: bool) -> Written:
    """Write the lines, durably and whole: the file is there complete, or not at all."""
    counted = _Counted(lines)
    with written_whole(path) as file:
        if parquet:
            # pyarrow takes longer to load than most exports take.
            from cli.export_parquet import write_parquet  # noqa: PLC0415

            write_parquet(file, counted)
        else:
            file.writelines(counted)
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Written(counted.records, size, digest)


def read_export(path: Path, found: Callable[[Finding], None]) -> Iterator[bytes]:
    """The lines of a file, whatever its form; `found` is told what other columns falsely say."""
    with path.open("rb") as file:
        is_parquet = file.read(len(_PARQUET)) == _PARQUET
        if not is_parquet:
            file.seek(0)
            # Where a line has no end yet, verifying ends: so much of one is in memory, never more.
            yield from iter(lambda: file.readline(MAX_LINE + 1), b"")
            return
    from cli.export_parquet import read_parquet  # noqa: PLC0415

    yield from read_parquet(path, found)


class _Counted:
    """Lines as they pass, and how many of them were records."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.records = 0

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.records += not is_envelope(line)
            yield line
