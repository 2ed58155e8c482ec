"""Files that fail on command: the nth call of a kind raises, as a full or dying disk would."""

import errno
from collections import Counter
from pathlib import Path

from domain_agent.spool.files import Files


class FailingFiles(Files):
    """Fails calls of one kind from the nth on, for as many times as told."""

    def __init__(self, kind: str, nth: int, times: int = 1, torn: int = 0) -> None:
        self._kind, self._nth, self._times, self._torn = kind, nth, times, torn
        self.calls: Counter[str] = Counter()

    def write(self, descriptor: int, data: bytes) -> None:
        if self._due("write"):
            super().write(descriptor, data[: self._torn])
            raise OSError(errno.ENOSPC, "no space left on device")
        super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        if self._due("sync"):
            raise OSError(errno.EIO, "input/output error")
        super().sync(descriptor)

    def truncate(self, path: Path, size: int) -> None:
        if self._due("truncate"):
            raise OSError(errno.EIO, "input/output error")
        super().truncate(path, size)

    def create(self, path: Path) -> int:
        if self._due("create"):
            raise OSError(errno.ENOSPC, "no space left on device")
        return super().create(path)

    def _due(self, kind: str) -> bool:
        self.calls[kind] += 1
        first = self._nth
        return kind == self._kind and first <= self.calls[kind] < first + self._times
