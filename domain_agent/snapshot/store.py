"""The last known good snapshot on disk: signed bytes, verified again at every start."""

from pathlib import Path

from google.protobuf.message import DecodeError

from domain_agent.spool.files import Files
from mesh.v1 import agents_pb2


class SnapshotStore:
    """One file for the snapshot, one for the highest revision acknowledged."""

    def __init__(self, folder: Path, files: Files) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._files = files
        self._snapshot, self._revision = folder / "snapshot", folder / "revision"

    def load(self) -> agents_pb2.StoredSnapshot | None:
        """What was saved last; None when nothing was. Raises ValueError when it is damaged."""
        if not self._snapshot.exists():
            return None
        try:
            return agents_pb2.StoredSnapshot.FromString(self._snapshot.read_bytes())
        except DecodeError as error:
            raise ValueError(f"{self._snapshot} is damaged: {error}") from error

    def save(self, stored: agents_pb2.StoredSnapshot, revision: int) -> None:
        """Replace it durably, and remember the revision for ever. Raises OSError."""
        self._files.replace(self._snapshot, stored.SerializeToString())
        if revision != self.highest_revision:
            self._files.replace(self._revision, str(revision).encode())

    @property
    def highest_revision(self) -> int:
        """The highest revision ever acknowledged; 0 before the first."""
        return int(self._revision.read_text()) if self._revision.exists() else 0
