"""Checks a stretch of an agent's log against what the agent signed: what is changed, and where.

Every record is compared with its leaf hash, and the tree of these hashes with each checkpoint. So
a changed record is named exactly as long as its hash is right, and by the smallest range between
two checkpoints when the hashes were changed with it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from mesh.evidence.checkpoints import Checkpoint, CheckpointInvalid, open_checkpoint
from mesh.evidence.codec import decode_event, encode_event, place_of
from mesh.evidence.events import agent_source
from mesh.evidence.manifests import Stretch
from mesh.evidence.merkle import leaf_hash

# An agent signs within seconds; what is this much older than the manifest should be signed for.
UNSIGNED_AFTER = timedelta(minutes=5)


class Wrong(StrEnum):
    """What can be wrong with a log or an export."""

    MANIFEST = "manifest"
    KEY = "key"
    RECORD = "record"
    MISSING = "missing"
    CHECKPOINT = "checkpoint"
    FORK = "fork"
    TRUNCATED = "truncated"
    UNSIGNED = "unsigned"
    EXTRA = "extra"
    FORM = "form"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong first: the records `first` to `last` of an agent's log, in words.

    `last` equals `first` where one record is named. Without records it is about the whole log, and
    without an agent about the whole export; `line` is that of the export, from 1.
    """

    wrong: Wrong
    message: str
    log: str = ""
    first: int | None = None
    last: int | None = None
    line: int | None = None

    @property
    def where(self) -> str:
        """`bookings/bookings-1 record 7`, as far as it is known."""
        if self.first is None:
            return self.log or "export"
        if self.first == self.last:
            return f"{self.log} record {self.first}"
        return f"{self.log} one of the records {self.first} to {self.last}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a stretch stands: all is well when nothing is found.

    `proven` is the size of the largest checkpoint that fits, and `head` its note; records after it
    wait for the next. `records` are those that were there whole.
    """

    stretch: Stretch
    records: int
    proven: int
    head: str
    finding: Finding | None
    remarks: tuple[str, ...] = ()

    @property
    def left_out(self) -> int:
        """How many records of a log that fits are there as hashes alone."""
        return 0 if self.finding else self.stretch.until - self.records


class LogVerifier:
    """Takes a stretch piece by piece and stops at the first thing that is wrong.

    `heads` are notes that the auditor knows from elsewhere; the log must contain these too.
    """

    def __init__(self, stretch: Stretch, time: datetime, heads: Iterable[str] = ()) -> None:
        self.stretch, self._time = stretch, time
        self._source = agent_source(stretch.domain, stretch.agent)
        self._frontier = stretch.frontier
        self._proven = stretch.after
        self._records = 0
        self._unsigned_since: tuple[int, datetime] | None = None
        self._signed: dict[int, Checkpoint] = {}
        self._notes: dict[int, str] = {}
        self._head = ""
        self._said: list[str] = []
        self.finding: Finding | None = None
        self.sign_for((*stretch.checkpoints, *heads))
        self._compare()

    @property
    def next(self) -> int:
        """The sequence of the record that is expected next."""
        return self._frontier.size + 1

    def sign_for(self, notes: Iterable[str]) -> None:
        """Take checkpoints; each is compared when its last record has come."""
        for note in notes:
            try:
                checkpoint = open_checkpoint(note, self.stretch.public_key)
            except CheckpointInvalid as error:
                self._wrong_range(
                    Wrong.CHECKPOINT, None, f"a checkpoint is not the agent's: {error}"
                )
                return
            if checkpoint.source != self._source:
                message = f"a checkpoint is of {checkpoint.source}, not of this log"
                self._wrong_range(Wrong.CHECKPOINT, None, message)
                return
            self._notes.setdefault(checkpoint.size, note)
            other = self._signed.setdefault(checkpoint.size, checkpoint)
            if other.root != checkpoint.root:
                message = f"the agent signed two different logs of {checkpoint.size:,} records"
                self._wrong_range(Wrong.FORK, checkpoint.size, message)
                return

    def ends_before(self, size: int) -> None:
        """Find that the log has fewer records than the agent is known to have signed for."""
        until = self.stretch.until
        if self.finding is None and size > until:
            message = f"the agent signed for {size:,} records, and only {until:,} are left"
            self.finding = Finding(Wrong.TRUNCATED, message, self.stretch.name, until + 1, size)

    def ends_at_last(self) -> None:
        """Find the same by the checkpoints given, where what they cover is not just on its way."""
        old = [
            checkpoint.size
            for checkpoint in self._signed.values()
            if self._time - checkpoint.time > UNSIGNED_AFTER
        ]
        self.ends_before(max(old, default=0))

    def record(self, sequence: int, leaf: bytes, record: bytes, line: int | None = None) -> None:
        """Compare a record with its leaf hash, and with its place."""
        if leaf_hash(record) != leaf:
            message = "what stands here is not the record that was hashed"
            self.fail(Wrong.RECORD, sequence, message + _claim(record, sequence), line)
            return
        try:
            event = decode_event(record)
            named = isinstance(event.id, str) and isinstance(event.receipt, str)
            same = named and encode_event(event) == record
        except (
            AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError,
        ):  # fmt: skip
            self.fail(Wrong.RECORD, sequence, "the bytes are no record of an event", line)
            return
        if not same or event.sequence != sequence or event.source != self._source:
            self.fail(Wrong.RECORD, sequence, "the record is of another place or log", line)
            return
        self._records += 1
        if self._unsigned_since is None:
            self._unsigned_since = (sequence, event.time)

    def leaf(self, leaf: bytes) -> None:
        """Take the next leaf into the tree, and compare it where a checkpoint ends."""
        if self.finding is None:
            self._frontier = self._frontier.append(leaf)
            self._compare()

    def fail(self, wrong: Wrong, sequence: int, message: str, line: int | None = None) -> None:
        """Name a record; the first finding stays."""
        if self.finding is None:
            name = self.stretch.name
            self.finding = Finding(wrong, message, name, sequence, sequence, line)

    def fail_log(self, wrong: Wrong, message: str) -> None:
        """Name the whole log; the first finding stays."""
        if self.finding is None:
            self.finding = Finding(wrong, message, self.stretch.name)

    def remark(self, text: str) -> None:
        """Say something of the log that is not wrong."""
        self._said.append(text)

    def finish(self) -> Verdict:
        """The verdict, once everything of the stretch was given or something failed."""
        if self.finding is None:
            self._check_signed()
        return Verdict(
            stretch=self.stretch,
            records=self._records,
            proven=self._proven,
            head=self._head,
            finding=self.finding,
            remarks=tuple(self._remarks()),
        )

    def _compare(self) -> None:
        size = self._frontier.size
        signed = self._signed.get(size)
        if signed is None:
            return
        if signed.root != self._frontier.root:
            message = (
                f"the records up to {size:,} are not those that the agent signed for; up to"
                f" {self._proven:,} they are"
            )
            self._wrong_range(Wrong.FORK, size, message)
            return
        self._proven, self._unsigned_since = size, None
        self._head = self._notes[size]

    def _check_signed(self) -> None:
        until = self.stretch.until
        if until > self.stretch.after == self._proven:
            message = "no checkpoint of the agent covers any of the records, so nothing is proven"
            self._wrong_range(Wrong.UNSIGNED, until, message)
        elif self._unsigned_since is not None:
            sequence, time = self._unsigned_since
            if self._time - time > UNSIGNED_AFTER:
                message = (
                    "this record and those after it are old, and the agent has not signed them"
                )
                self.fail(Wrong.UNSIGNED, sequence, message)

    def _remarks(self) -> Iterable[str]:
        until = self.stretch.until
        if self.finding is None and until > self._records:
            yield f"whole {self._records:,} of {until:,}, of the rest the hashes alone"
        yield from self._said
        if self.finding is None and until > self._proven:
            yield f"{_records(until - self._proven)} at the end not signed for yet"
        ahead = max(self._signed, default=0)
        if ahead > until:
            yield f"the agent signed for {_records(ahead)}, and {until:,} are here"
        if self.stretch.problem:
            yield f"the control plane says: {self.stretch.problem}"

    def _wrong_range(self, wrong: Wrong, last: int | None, message: str) -> None:
        if self.finding is not None:
            return
        first = self._proven + 1
        last = max(first, self.stretch.until if last is None else last)
        self.finding = Finding(wrong, message, self.stretch.name, first, last)


def _records(count: int) -> str:
    return f"{count:,} record{'' if count == 1 else 's'}"


def _claim(record: bytes, sequence: int) -> str:
    """What place another record says it has."""
    try:
        place = place_of(record)
    except ValueError:
        return ""
    return "" if place.sequence == sequence else f"; it says it is record {place.sequence:,}"
