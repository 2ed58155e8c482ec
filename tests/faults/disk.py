"""A disk that fails: the calls that durability rests on raise, as told, below the real code."""

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from domain_agent.spool import files

KINDS: Final = ("write", "fsync", "rename", "create")
_CALLS: Final = {
    "write": "write",
    "fsync": "fsync",
    "fdatasync": "fsync",
    "truncate": "write",
    "ftruncate": "write",
}


@dataclass(slots=True)
class Failing:
    """Fails some calls: `due` says for the nth call of a kind whether it does.

    A failed write leaves a part of its data behind, `kept` of it.
    """

    due: Callable[[str, int], bool]
    kept: float = 0.5
    code: int = errno.EIO
    calls: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def fails(self, kind: str) -> bool:
        """Count a call; whether it has to fail."""
        with self._lock:
            self.calls[kind] += 1
            if not self.due(kind, self.calls[kind]):
                return False
            self.failed[kind] += 1
            return True

    def error(self) -> OSError:
        """What the call raises."""
        return OSError(self.code, os.strerror(self.code))


class _Os:
    """The module os as domain_agent.spool.files sees it."""

    def __init__(self, failing: Failing) -> None:
        self._failing = failing

    def __getattr__(self, name: str) -> Any:
        real = getattr(os, name)
        kind = _CALLS.get(name)
        if kind is None:
            return real

        def call(*arguments: Any) -> Any:
            if not self._failing.fails(kind):
                return real(*arguments)
            if name == "write":
                descriptor, data = arguments
                real(descriptor, bytes(data[: int(len(data) * self._failing.kept)]))
            raise self._failing.error()

        return call

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        """Fails where a file is made."""
        if flags & os.O_CREAT and self._failing.fails("create"):
            raise self._failing.error()
        return os.open(path, flags, mode)


@contextmanager
def failing_disk(failing: Failing) -> Iterator[Failing]:
    """Everything that goes through Files meets the failing disk."""
    rename = Path.replace

    def replace(path: Path, target: Path) -> Path:
        if failing.fails("rename"):
            raise failing.error()
        return rename(path, target)

    with (
        patch.object(files, "os", _Os(failing)),
        patch.object(Path, "replace", replace),
    ):
        yield failing
