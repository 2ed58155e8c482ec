"""The keys that seal personal fields: one per principal and quarter, made and kept here.

A key exists here, and wrapped at the control plane; never in the log, which can't forget.
"""

import base64
import json
import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from uuid_utils import uuid7

from domain_agent.spool.event_log import EventLog
from domain_agent.spool.files import Files
from mesh.errors import EvidenceUnavailable
from mesh.evidence.canonical import canonical_fields
from mesh.evidence.events import EventType
from mesh.evidence.sealing import KEY_BYTES, PrincipalKey, quarter_of

log = logging.getLogger(__name__)

_KEY, _LOGGED, _DELIVERED = ".json", ".logged", ".delivered"


@dataclass(frozen=True, slots=True)
class _Kept:
    """A key with how far it has come: told in the log, stored at the control plane."""

    key: PrincipalKey
    logged: bool = False
    delivered: bool = False


class PrincipalKeys:
    """One 0600 file per key, written once, and empty files for how far the key has come.

    So no copy of a key is left where a file was written anew. Thread-safe. Raises OSError at start
    for a file that is no key.
    """

    def __init__(
        self,
        folder: Path,
        files: Files,
        events: EventLog,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._files, self._events = folder, files, events
        self._now, self._random = now, random
        self._lock = threading.Lock()
        self._finish_interrupted()
        loaded = [self._read(path) for path in sorted(folder.glob(f"*{_KEY}"))]
        self._kept = {(kept.key.principal, kept.key.quarter): kept for kept in loaded}

    def key(self, principal: str) -> PrincipalKey:
        """The principal's key of this quarter, made and told at its first use.

        Raises EvidenceUnavailable when it can't be kept or told.
        """
        quarter = quarter_of(self._now())
        kept = self._kept.get((principal, quarter))
        if kept is not None and kept.logged:
            return kept.key
        with self._lock:
            kept = self._kept.get((principal, quarter))
            if kept is None:
                made = PrincipalKey(str(uuid7()), principal, quarter, self._random(KEY_BYTES))
                self._keep(made)
                kept = self._remember(_Kept(made))
            if not kept.logged:
                fields = {"key": kept.key.id, "commitment": kept.key.commitment, "quarter": quarter}
                self._events.write(EventType.KEY_CREATED, canonical_fields(fields))
                self._write(self._path(kept.key.id, _LOGGED), b"")
                kept = self._remember(_Kept(kept.key, logged=True, delivered=kept.delivered))
            return kept.key

    def secrets(self) -> dict[str, bytes]:
        """The secrets of the keys that are still here, by the key's id."""
        with self._lock:
            return {kept.key.id: kept.key.secret for kept in self._kept.values()}

    def undelivered(self, most: int) -> list[PrincipalKey]:
        """Keys that the control plane has not confirmed, at most that many."""
        with self._lock:
            waiting = [kept.key for kept in self._kept.values() if not kept.delivered]
        return waiting[:most]

    def delivered(self, ids: Iterable[str]) -> None:
        """Remember which keys the control plane has stored."""
        confirmed = set(ids)
        with self._lock:
            for kept in list(self._kept.values()):
                if kept.key.id in confirmed and not kept.delivered:
                    self._write(self._path(kept.key.id, _DELIVERED), b"")
                    self._remember(_Kept(kept.key, kept.logged, delivered=True))

    def destroy(self, principal: str) -> int:
        """Destroy every key of a principal and tell it in the log; how many there were.

        Raises OSError or EvidenceUnavailable; then it is to be asked again.
        """
        with self._lock:
            doomed = [place for place in self._kept if place[0] == principal]
            for place in doomed:
                key = self._kept[place].key
                self._events.write(EventType.KEY_DESTROYED, canonical_fields({"key": key.id}))
                self._files.destroy(self._path(key.id))
                for mark in (_LOGGED, _DELIVERED):
                    self._path(key.id, mark).unlink(missing_ok=True)
                del self._kept[place]
                log.info("destroyed principal key %s", key.id)
        return len(doomed)

    def _finish_interrupted(self) -> None:
        """Destroy what a killed process left: keys half made or half destroyed."""
        for path in sorted(self._folder.glob(f"*{_KEY}*")):
            if path.suffix == ".new" or path.read_bytes()[:1] == b"\0":
                self._files.destroy(path)
        for mark in (_LOGGED, _DELIVERED):
            for path in self._folder.glob(f"*{mark}*"):
                if path.suffix == ".new" or not path.with_suffix(_KEY).exists():
                    path.unlink()

    def _remember(self, kept: _Kept) -> _Kept:
        self._kept[kept.key.principal, kept.key.quarter] = kept
        return kept

    def _keep(self, made: PrincipalKey) -> None:
        path = self._path(made.id)
        try:
            self._write(path, _document(made))
        except EvidenceUnavailable:
            # It may be there all the same, with a name in it that no erasure would find.
            with suppress(OSError):
                self._files.destroy(path)
            raise

    def _write(self, path: Path, content: bytes) -> None:
        try:
            self._files.replace(path, content)
        except OSError as error:
            log.error("a principal's key can't be kept: %s", error)
            raise EvidenceUnavailable(
                "the agent can't keep the key that this read's evidence is sealed with, so no "
                "data leaves; its operator must look at the disk"
            ) from error

    def _read(self, path: Path) -> _Kept:
        problem = f"{path} holds no principal's key; move it away to start"
        try:
            document = json.loads(path.read_bytes())
            secret = base64.b64decode(document["secret"], validate=True)
            key = PrincipalKey(document["id"], document["principal"], document["quarter"], secret)
        except (ValueError, KeyError, TypeError) as error:
            raise OSError(problem) from error
        if len(secret) != KEY_BYTES or path.stem != key.id:
            raise OSError(problem)
        marks = (self._path(key.id, mark).exists() for mark in (_LOGGED, _DELIVERED))
        return _Kept(key, *marks)

    def _path(self, key_id: str, suffix: str = _KEY) -> Path:
        return self._folder / f"{key_id}{suffix}"


def _document(key: PrincipalKey) -> bytes:
    document = {
        "id": key.id,
        "principal": key.principal,
        "quarter": key.quarter,
        "secret": base64.b64encode(key.secret).decode(),
    }
    return json.dumps(document).encode()
