"""What is known of an agent's log, from its disk, from the control plane and from its clients."""

import json
import shutil
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from domain_agent.spool.files import Files
from domain_agent.spool.spool import Spool, SpoolLimits
from mesh.evidence.canonical import canonical
from mesh.evidence.checkpoints import Checkpoint, open_checkpoint
from mesh.evidence.codec import place_of
from mesh.evidence.events import EventType
from mesh.evidence.merkle import Frontier, leaf_hash
from mesh.evidence.sealing import key_id
from tests.faults.reading import Seen


@dataclass(frozen=True, slots=True)
class Noted:
    """A record that was seen once and must never be another."""

    leaf: bytes
    type: EventType
    receipt: str
    key: str | None
    bytes: int | None


@dataclass(slots=True)
class Ledger:
    """Takes everything that is seen of a log, and finds what does not fit."""

    records: dict[int, Noted] = field(default_factory=dict)
    clients: list[Seen] = field(default_factory=list)
    stored: int = 0
    settled: int = 0
    _frontier: Frontier = field(default_factory=Frontier)
    _settled_clients: int = 0
    _started: dict[str, int] = field(default_factory=dict)
    _ended: dict[str, Noted] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def note(self, sequence: int, record: bytes, where: str) -> None:
        """Take a record. Raises AssertionError when it was another before."""
        leaf, known = leaf_hash(record), self.records.get(sequence)
        assert known is None or known.leaf == leaf, f"{where}: record {sequence} changed"
        if known is None:
            place = place_of(record)
            assert place.sequence == sequence, f"{where}: {place.sequence} stands at {sequence}"
            data = json.loads(record)["data"]
            assert canonical(json.loads(record)) == record, f"{where}: record {sequence}"
            key = key_id(data) or data.get("key")
            size = data.get("bytes")
            self.records[sequence] = Noted(leaf, place.type, place.receipt, key, size)

    def disk(self, state: Path, public_key: bytes) -> int:
        """Read the log as a starting agent would, from a copy; its last sequence.

        Raises AssertionError or SpoolDamaged.
        """
        with tempfile.TemporaryDirectory() as kept:
            copy = Path(kept) / "spool"
            shutil.copytree(state / "spool", copy)
            note = state / "checkpoint"
            signed = open_checkpoint(note.read_text(), public_key) if note.exists() else None
            spool = Spool(copy, Files(), SpoolLimits(), signed)
            first = min((int(path.stem) for path in copy.glob("*.log")), default=1)
            last = first - 1
            while records := spool.read_records_after(last, 1 << 20):
                for sequence, record in enumerate(records, last + 1):
                    self.note(sequence, record, "the disk")
                last += len(records)
            assert last == spool.head.size, f"the disk has {last} of {spool.head.size} records"
            newest = max(self.records, default=0)
            assert last == newest, f"records {last + 1} to {newest} were on the disk before"
            return last

    def plane(self, stored: Iterable[tuple[int, bytes]]) -> int:
        """Take what the control plane has stored since; its last sequence."""
        for sequence, record in stored:
            assert sequence == self.stored + 1, f"the control plane lacks {self.stored + 1}"
            self.note(sequence, record, "the control plane")
            self.stored = sequence
        return self.stored

    def settle(self, signed: Checkpoint) -> None:
        """Everything that is left open must be right by now. Raises AssertionError."""
        last = max(self.records, default=0)
        assert self.stored == last, f"the control plane has {self.stored} of {last} records"
        assert signed.size == last, f"the head that is signed is of {signed.size}, not {last}"
        for sequence in range(self.settled + 1, last + 1):
            assert sequence in self.records, f"record {sequence} was never seen"
            self._follow(sequence, self.records[sequence])
        self.settled = last
        assert self._frontier.root == signed.root, "the signed root is not that of the records"
        unended = set(self._started) - set(self._ended)
        assert not unended, f"reads without an end: {sorted(unended)[:5]}"
        for seen in self.clients[self._settled_clients :]:
            self._check_client(seen)
        self._settled_clients = len(self.clients)

    def _follow(self, sequence: int, noted: Noted) -> None:
        self._frontier = self._frontier.append(noted.leaf)
        receipt = noted.receipt
        match noted.type:
            case EventType.STARTED:
                assert receipt not in self._started, f"{receipt} began twice"
                self._started[receipt] = sequence
            case EventType.COMPLETED | EventType.ABORTED:
                assert receipt in self._started, f"{receipt} ended and never began"
                assert receipt not in self._ended, f"{receipt} ended twice"
                self._ended[receipt] = noted
            case EventType.KEY_CREATED:
                assert noted.key is not None
                self._told.add(noted.key)
        if noted.type in (EventType.STARTED, EventType.REFUSED):
            assert noted.key in self._told, f"{receipt} is sealed with a key the log never named"

    def _check_client(self, seen: Seen) -> None:
        if seen.end == "refused":
            return
        assert seen.receipt, "a stream came without a receipt"
        assert seen.receipt in self._started, f"rows of {seen.receipt} left without evidence"
        end = self._ended[seen.receipt]
        if seen.end == "complete":
            assert end.type is EventType.COMPLETED, f"{seen.receipt} came whole, but {end.type}"
        if end.type is EventType.COMPLETED and seen.end == "complete":
            assert end.bytes == seen.bytes, f"{seen.receipt}: {end.bytes} were told, {seen.bytes}"

    @property
    def open(self) -> set[str]:
        """The receipts of all records that began and have no end."""
        begun = {one.receipt for one in self.records.values() if one.type is EventType.STARTED}
        ended = (EventType.COMPLETED, EventType.ABORTED)
        return begun - {one.receipt for one in self.records.values() if one.type in ended}

    @property
    def reads(self) -> int:
        """How many reads began."""
        return len(self._started)
