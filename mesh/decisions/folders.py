"""The modules of a folder, read without leaving it."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from mesh.decisions.sizes import MAX_BYTES, MAX_MODULE_BYTES, MAX_MODULES
from mesh.errors import PolicyInvalid

SUFFIX = ".rego"
_MAX_DEPTH = 16


def read_folder(folder: Path) -> dict[str, bytes]:
    """Every `.rego` file by its path below the folder; hidden ones and other files are not read.

    What is too large is cut a byte past its limit, so that checks still find it so. Raises
    PolicyInvalid at a link or at anything else that is no plain file.
    """
    modules: dict[str, bytes] = {}
    total = 0
    for path in _files(folder, _MAX_DEPTH):
        content = _read(path)
        modules[path.relative_to(folder).as_posix()] = content
        total += len(content)
        if len(modules) > MAX_MODULES or total > MAX_BYTES:
            break
    return modules


def _files(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise PolicyInvalid(f"{folder} can't be read: {error.strerror}") from None
    for entry in entries:
        path = folder / entry.name
        if entry.name.startswith("."):
            continue
        if entry.is_symlink() and (entry.name.endswith(SUFFIX) or entry.is_dir()):
            raise PolicyInvalid(f"{path} is a link; a layer's folder holds its modules themselves")
        if entry.is_dir(follow_symlinks=False):
            if depth == 0:
                raise PolicyInvalid(
                    f"{path} lies too deep; a layer has at most {_MAX_DEPTH} floors"
                )
            yield from _files(path, depth - 1)
        elif entry.name.endswith(SUFFIX):
            yield path


def _read(path: Path) -> bytes:
    """The file's bytes, at most one more than a module may have."""
    try:
        # Without O_NONBLOCK, opening a named pipe waits for its writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise PolicyInvalid(f"{path} is no plain file")
            return file.read(MAX_MODULE_BYTES + 1)
    except OSError as error:
        raise PolicyInvalid(f"{path} can't be read: {error.strerror}") from None
