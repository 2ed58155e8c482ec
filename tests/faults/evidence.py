"""An agent's evidence over one folder, and a story that fills it."""

import os
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain_agent.clock import SystemClock
from domain_agent.control.link import AgentIdentity
from domain_agent.control.witnessing import SignedHeads
from domain_agent.principal_keys import PrincipalKeys
from domain_agent.snapshot.store import SnapshotStore
from domain_agent.spool.event_log import EventLog
from domain_agent.spool.files import Files
from domain_agent.spool.spool import Spool, SpoolLimits
from mesh.errors import EvidenceUnavailable
from mesh.evidence.canonical import canonical_fields
from mesh.evidence.events import EventType, UsageEvent, agent_source
from mesh.evidence.sealing import Personal
from mesh.v1 import agents_pb2

NOW = datetime(2026, 11, 24, 22, tzinfo=UTC)
LIMITS = SpoolLimits(segment=2_500)
IDENTITY = AgentIdentity("bookings", "bookings-1", Ed25519PrivateKey.generate())
SOURCE = agent_source("bookings", "bookings-1")


@dataclass(slots=True)
class Evidence:
    """What an agent keeps on its disk, all of it over one folder."""

    folder: Path
    events: EventLog = field(init=False)
    spool: Spool = field(init=False)
    keys: PrincipalKeys = field(init=False)
    heads: SignedHeads = field(init=False)
    snapshots: SnapshotStore = field(init=False)

    def __post_init__(self) -> None:
        files = Files()
        self.heads = SignedHeads(self.folder / "checkpoint", IDENTITY, files, SystemClock())
        self.spool = Spool(self.folder / "spool", files, LIMITS, self.heads.last)
        self.events = EventLog(SOURCE, self.spool, lambda: NOW, os.urandom)
        self.keys = PrincipalKeys(
            self.folder / "principals", files, self.events, lambda: NOW, os.urandom
        )
        self.snapshots = SnapshotStore(self.folder / "snapshot", files)

    def everything(self) -> list[UsageEvent]:
        """All events in the log."""
        last = min(int(path.stem) for path in (self.folder / "spool").glob("*.log")) - 1
        found: list[UsageEvent] = []
        while more := self.spool.read_after(last, 4_000):
            found += more
            last = more[-1].sequence
        return found


@dataclass(slots=True)
class Story:
    """Reads, heads and snapshots, one after another; which reads were promised to be in the log."""

    evidence: Evidence
    started: list[str] = field(default_factory=list)
    refused: int = 0
    failures: int = 0
    revision: int = 0
    acknowledged: int = 0
    told: int = 0

    def tell(self) -> None:
        """One read of one of a few people, and what goes on beside it."""
        evidence, number = self.evidence, self.told
        self.told += 1
        try:
            key = evidence.keys.key(f"user:{number % 7}")
            personal = Personal(b'{"principal":"%d"}' % number, key)
            receipt = evidence.events.write(EventType.STARTED, fields(number), personal)
            self.started.append(receipt)
            evidence.events.write(EventType.COMPLETED, fields(number), receipt=receipt)
        except EvidenceUnavailable:
            self.refused += 1
        try:
            if number % 3 == 0:
                head = evidence.spool.head
                evidence.heads.sign(head.size, head.root)
            if number % 5 == 0:
                evidence.snapshots.save(agents_pb2.StoredSnapshot(), number + 1)
                self.revision = number + 1
            if number % 6 == 0:
                self.acknowledged = max(0, evidence.spool.head.size - 4)
                evidence.spool.acknowledge(self.acknowledged)
        except OSError:
            self.failures += 1


def fields(number: int) -> dict[str, bytes]:
    """Open fields of an event."""
    return canonical_fields({"statement": f"SELECT {number}"})
