"""The few file operations that durability rests on, in one place so that faults can be tried."""

import os
from pathlib import Path


class Files:
    """Real files. Every method raises OSError and hides nothing."""

    def create(self, path: Path) -> int:
        """A new file, durable as a name in its folder."""
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND, 0o600)
        try:
            self.sync_folder(path.parent)
        except BaseException:
            os.close(descriptor)
            raise
        return descriptor

    def open(self, path: Path) -> int:
        """An existing file, to append to."""
        return os.open(path, os.O_WRONLY | os.O_APPEND)

    def write(self, descriptor: int, data: bytes) -> None:
        """All of the data, or OSError with any part of it written."""
        view = memoryview(data)
        while view:
            view = view[os.write(descriptor, view) :]

    def sync(self, descriptor: int) -> None:
        """What was written is on the disk."""
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        """Give the descriptor back."""
        os.close(descriptor)

    def truncate(self, path: Path, size: int) -> None:
        """Cut the file and make that durable."""
        os.truncate(path, size)
        descriptor = os.open(path, os.O_WRONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, path: Path, data: bytes) -> None:
        """Swap the file's content whole and durably."""
        temporary = _temporary(path)
        descriptor = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        try:
            self.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        temporary.replace(path)
        self.sync_folder(path.parent)

    def destroy(self, path: Path) -> None:
        """Overwrite a file and remove it durably; no error when it is gone already.

        So is what `replace` left of a content that it could not put in place. On a file system
        or disk that writes elsewhere each time, the old bytes may stay until they are reused:
        keep keys on an encrypted volume.
        """
        for doomed in (_temporary(path), path):
            try:
                descriptor = os.open(doomed, os.O_WRONLY)
            except FileNotFoundError:
                continue
            try:
                self.write(descriptor, bytes(os.fstat(descriptor).st_size))
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            doomed.unlink()
        self.sync_folder(path.parent)

    def sync_folder(self, folder: Path) -> None:
        """Names made or removed in the folder are on the disk."""
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _temporary(path: Path) -> Path:
    return path.with_name(path.name + ".new")
