"""Writes events to the spool: ids, time, salt and sealing are put on here."""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime

from uuid_utils import uuid7

from domain_agent.spool.spool import ENDS, Spool
from mesh.errors import EvidenceUnavailable
from mesh.evidence.codec import Draft
from mesh.evidence.events import EventType
from mesh.evidence.sealing import Personal, seal


class EventLog:
    """One agent's events, durable when written.

    The end of a read that can't be written is owed: `write_owed` writes it, and so does the next
    event, before itself. Else a read that has ended would stay open, and keep its segment.
    """

    def __init__(
        self,
        source: str,
        spool: Spool,
        now: Callable[[], datetime],
        random: Callable[[int], bytes],
    ) -> None:
        self._source, self._spool, self._now, self._random = source, spool, now, random
        self._owed: deque[Draft] = deque()

    def write(
        self,
        kind: EventType,
        fields: Mapping[str, bytes],
        personal: Personal | None = None,
        receipt: str | None = None,
    ) -> str:
        """Make an event durable; its receipt, a new one unless given. Raises EvidenceUnavailable.

        `fields`, in canonical JSON each, stay readable for ever: nothing in them may be personal.
        """
        event_id = str(uuid7())
        data = seal(event_id, fields, personal, self._random)
        draft = Draft(event_id, self._source, kind, self._now(), receipt or event_id, data)
        try:
            self.write_owed()
            self._spool.append(draft)
        except EvidenceUnavailable:
            if kind in ENDS:
                self._owed.append(draft)
            raise
        return draft.receipt

    def write_owed(self) -> None:
        """Write the ends that are owed. Raises EvidenceUnavailable while that fails."""
        while self._owed:
            try:
                draft = self._owed.popleft()
            except IndexError:
                return
            try:
                self._spool.append(draft)
            except EvidenceUnavailable:
                self._owed.appendleft(draft)
                raise
