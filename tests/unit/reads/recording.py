"""Receipts over a real spool, sealed with real keys."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from domain_agent.principal_keys import PrincipalKeys
from domain_agent.reads.receipts import Receipts
from domain_agent.spool.event_log import EventLog
from domain_agent.spool.files import Files
from domain_agent.spool.spool import Spool, SpoolLimits
from mesh.evidence.events import UsageEvent, agent_source


@dataclass(frozen=True, slots=True)
class Recording:
    """One agent's evidence, from its receipts down to its files."""

    spool: Spool
    events: EventLog
    keys: PrincipalKeys
    receipts: Receipts

    def reads(self) -> list[UsageEvent]:
        """Every event about a read."""
        found = self.spool.read_after(0, 10_000_000)
        return [event for event in found if event.type.is_read]


def recording(
    folder: Path,
    now: Callable[[], datetime],
    files: Files | None = None,
    limits: SpoolLimits | None = None,
) -> Recording:
    """An agent's evidence in a folder."""
    spool = Spool(folder / "spool", files or Files(), limits or SpoolLimits())
    events = EventLog(agent_source("bookings", "one"), spool, now, os.urandom)
    keys = PrincipalKeys(folder / "principals", files or Files(), events, now, os.urandom)
    return Recording(spool, events, keys, Receipts("regopy", events, keys))
