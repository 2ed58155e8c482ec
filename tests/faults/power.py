"""A disk that loses power: what was not synced is lost, or half there, or there.

Contents count from the last sync of their file on, names from the last sync of their folder on.
What came later may be on the disk all the same: any part of a content, and of the changes of names
in a folder those up to any one of them, as file systems with a journal keep them.
"""

import os
import random
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

from domain_agent.spool import files

_COUNTED = frozenset({"write", "fsync", "fdatasync", "truncate"})


class PowerCut(BaseException):
    """The power is gone; no code of the process runs any more."""


@dataclass(slots=True)
class Power:
    """Follows what is safe below a folder; the power goes at the n-th call, if at all."""

    root: Path
    nth: int | None = None
    calls: int = 0
    _made: int = 0
    _files: dict[int, int] = field(default_factory=dict)
    _contents: dict[int, bytes] = field(default_factory=dict)
    _names: dict[Path, list[dict[str, int]]] = field(default_factory=dict)

    def call(self) -> None:
        """Count a call. Raises PowerCut."""
        self.calls += 1
        if self.nth is not None and self.calls >= self.nth:
            raise PowerCut

    def synced(self, descriptor: int) -> None:
        """Remember a file's content, or a folder's names, as safe."""
        path, found = Path(f"/proc/self/fd/{descriptor}"), os.fstat(descriptor)
        if stat.S_ISDIR(found.st_mode):
            self._names[path.readlink()] = [self._listed(path.readlink())]
        else:
            self._contents[self._file(found.st_ino)] = path.read_bytes()

    def made(self, descriptor: int) -> None:
        """A file is new, though its inode may have been another's."""
        self._made += 1
        self._files[os.fstat(descriptor).st_ino] = self._made

    def changed(self, folder: Path) -> None:
        """Remember the names that a folder has now as what may be there."""
        self._names.setdefault(folder, [{}]).append(self._listed(folder))

    def left(self, into: Path, rng: random.Random) -> None:
        """Lay out what the next start finds."""
        for folder in (self.root, *(path for path in self.root.rglob("*") if path.is_dir())):
            there = into / folder.relative_to(self.root)
            there.mkdir(parents=True, exist_ok=True)
            seen = [*self._names.get(folder, [{}]), self._listed(folder)]
            live = seen[-1]
            for name, file in rng.choice((seen[0], seen[-1], rng.choice(seen))).items():
                current = folder / name if live.get(name) == file else None
                (there / name).write_bytes(self._content(file, current, rng))

    def _listed(self, folder: Path) -> dict[str, int]:
        found = (one for one in sorted(folder.iterdir()) if one.is_file())
        return {one.name: self._file(one.stat().st_ino) for one in found}

    def _file(self, inode: int) -> int:
        return self._files.setdefault(inode, -inode)

    def _content(self, file: int, current: Path | None, rng: random.Random) -> bytes:
        safe = self._contents.get(file, b"")
        if current is None:
            return safe
        now = current.read_bytes()
        if not now.startswith(safe):
            return rng.choice((safe, now))
        tail = now[len(safe) : rng.randint(len(safe), len(now))]
        return safe + (bytes(len(tail)) if rng.random() < 0.2 else tail)


class _Os:
    """The module os as domain_agent.spool.files sees it."""

    def __init__(self, power: Power) -> None:
        self._power = power

    def __getattr__(self, name: str) -> Any:
        real, power = getattr(os, name), self._power
        if name not in _COUNTED:
            return real

        def call(*arguments: Any) -> Any:
            power.call()
            if name in ("fsync", "fdatasync"):
                return power.synced(arguments[0])
            return real(*arguments)

        return call

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        if not flags & os.O_CREAT:
            return os.open(path, flags, mode)
        self._power.call()
        new = not path.exists()
        descriptor = os.open(path, flags, mode)
        if new:
            self._power.made(descriptor)
        self._power.changed(path.parent)
        return descriptor


@contextmanager
def powered(power: Power) -> Iterator[Power]:
    """Everything that goes through Files is followed; ends at the power cut."""
    rename, unlink = Path.replace, Path.unlink

    def replace(path: Path, target: Path) -> Path:
        power.call()
        renamed = rename(path, target)
        power.changed(path.parent)
        return renamed

    def remove(path: Path, missing_ok: bool = False) -> None:
        power.call()
        unlink(path, missing_ok=missing_ok)
        power.changed(path.parent)

    with (
        patch.object(files, "os", _Os(power)),
        patch.object(Path, "replace", replace),
        patch.object(Path, "unlink", remove),
    ):
        yield power
