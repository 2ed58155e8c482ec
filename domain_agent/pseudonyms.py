"""The keys of pseudonyms: 32 random bytes for each agreement, made here and never sent."""

import logging
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from domain_agent.spool.event_log import EventLog
from domain_agent.spool.files import Files
from domain_agent.worker.pool import WorkerPool
from mesh.agreements.values import Agreement, AgreementState
from mesh.errors import EvidenceUnavailable
from mesh.evidence.canonical import canonical_fields
from mesh.evidence.events import EventType

log = logging.getLogger(__name__)

KEY_BYTES = 32


class PseudonymKeys:
    """One 0600 file per agreement; destroyed when the agreement ends."""

    def __init__(self, folder: Path, files: Files) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder, self._files = folder, files
        self._lock = threading.Lock()
        self._known: dict[str, bytes] = {}

    def key(self, agreement: str) -> bytes:
        """The agreement's key, made at its first use. Raises OSError when it can't be kept."""
        with self._lock:
            known = self._known.get(agreement)
            if known is not None:
                return known
            path = self._path(agreement)
            if path.exists():
                key = path.read_bytes()
                if len(key) != KEY_BYTES:
                    raise OSError(f"{path} holds no key of {KEY_BYTES} bytes")
            else:
                key = secrets.token_bytes(KEY_BYTES)
                self._files.replace(path, key)
            self._known[agreement] = key
            return key

    def held(self, agreements: Iterable[str]) -> list[str]:
        """Which of the agreements have a key."""
        return [agreement for agreement in agreements if self._path(agreement).exists()]

    def destroy(self, agreement: str) -> None:
        """Destroy the key of an agreement that ended. Raises OSError."""
        with self._lock:
            self._known.pop(agreement, None)
            self._files.destroy(self._path(agreement))
        log.info("destroyed the pseudonym key of agreement %s", agreement)

    def _path(self, agreement: str) -> Path:
        if not agreement.replace("-", "").isalnum():
            raise OSError("an agreement's id has letters, digits and hyphens only")
        return self._folder / f"{agreement}.key"


@dataclass(frozen=True, slots=True)
class PseudonymEndings:
    """What follows from an agreement's end: its pseudonyms' key is no more, and that is told."""

    pseudonyms: PseudonymKeys
    pool: WorkerPool
    events: EventLog
    told: set[str] = field(default_factory=set, init=False)

    def apply(self, agreements: Iterable[Agreement], now: datetime) -> None:
        """Destroy the keys of agreements that have ended, as far as that can be done now.

        A revocation must come into force with a full or failing disk too; a key that is left is
        destroyed with the next change, or when the agent starts again.
        """
        ended = (a.id for a in agreements if a.state_at(now) is not AgreementState.ACTIVE)
        held = self.pseudonyms.held(ended)
        for agreement in held:
            try:
                self._end(agreement)
            except (EvidenceUnavailable, OSError):
                log.exception("the pseudonym key of agreement %s stays for now", agreement)
        if held:
            self.pool.renew()

    def _end(self, agreement: str) -> None:
        if agreement not in self.told:
            self.events.write(
                EventType.PSEUDONYM_KEY_DESTROYED, canonical_fields({"agreement": agreement})
            )
            self.told.add(agreement)
        self.pseudonyms.destroy(agreement)
        self.told.discard(agreement)
