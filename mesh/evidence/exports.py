"""Checks a whole export: the manifest, then each log's signed hashes and records, line by line."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mesh.evidence.checkpoints import Checkpoint, read_checkpoint
from mesh.evidence.envelopes import EnvelopeInvalid, fingerprint, is_envelope
from mesh.evidence.manifests import Leaves, Manifest, Stretch, read_leaves, read_manifest
from mesh.evidence.verifying import Finding, LogVerifier, Verdict, Wrong
from mesh.evidence.windows import Window
from mesh.times import rfc3339


@dataclass(frozen=True, slots=True)
class Trust:
    """What an auditor knows from elsewhere: fingerprints of keys, and notes, by agent."""

    control_plane: str | None = None
    agents: Mapping[str, str] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)

    def head(self, name: str) -> Checkpoint | None:
        """What the newest note of a log that was seen says."""
        note = self.heads.get(name)
        return None if note is None else read_checkpoint(note)


@dataclass(frozen=True, slots=True)
class ExportVerdict:
    """How an export stands. `finding` is about the export as a whole; logs have their own."""

    manifest: Manifest | None
    finding: Finding | None
    logs: tuple[Verdict, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def first(self) -> Finding | None:
        """What is wrong first."""
        found = [log.finding for log in self.logs if log.finding is not None]
        return self.finding or next(iter(found), None)


class _Lines:
    """The lines of an export, with their numbers; the next one can be looked at."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines: Iterator[bytes] = iter(lines)
        self.number = 0
        self.next: bytes | None = None
        self.take()

    def take(self) -> None:
        """Go on to the next line."""
        self.next = next(self._lines, None)
        self.number += 1


def verify_export(
    lines: Iterable[bytes], trust: Trust | None = None, *, latest: bool = False
) -> ExportVerdict:
    """Check an export; each line ends with a newline.

    `latest` tells that it was made just now, whatever time it has.
    """
    trust = trust or Trust()
    source = _Lines(lines)
    try:
        manifest = read_manifest(_content(source.next))
    except EnvelopeInvalid as error:
        message = f"the manifest is changed or missing: {error}"
        return ExportVerdict(None, Finding(Wrong.MANIFEST, message, line=1))
    source.take()
    checked = _Checked(manifest, trust, latest)
    starts = {(log.domain, log.agent, log.after + 1): n for n, log in enumerate(manifest.stretches)}
    logs: list[Verdict] = []
    failed = False
    for place, stretch in enumerate(manifest.stretches):
        if failed:
            _skip_to_start(source, manifest, starts, place)
        logs.append(_verify_log(source, checked, stretch))
        failed = failed or logs[-1].finding is not None
    finding, remarks = checked.whole()
    if finding is None and source.next is not None and not failed:
        message = "the export goes on after its last record"
        finding = Finding(Wrong.EXTRA, message, line=source.number)
    return ExportVerdict(manifest, finding, tuple(logs), remarks)


@dataclass(frozen=True, slots=True)
class _Checked:
    """What an export is checked against."""

    manifest: Manifest
    trust: Trust
    latest: bool

    def is_older(self, head: Checkpoint | None) -> bool:
        """Whether the export was made before the agent signed what was seen of it."""
        return head is not None and not self.latest and self.manifest.time < head.time

    def whole(self) -> tuple[Finding | None, tuple[str, ...]]:
        """What is wrong with the export as a whole, and what is to be said of it."""
        key = fingerprint(self.manifest.key)
        if self.trust.control_plane not in (None, key):
            message = f"it is signed with {key}, which is not the trusted key"
            return Finding(Wrong.KEY, message, line=1), ()
        there = {stretch.name for stretch in self.manifest.stretches}
        remarks = []
        for name in sorted({*self.trust.agents, *self.trust.heads} - there):
            domain, _, agent = name.partition("/")
            if not self.manifest.selection.names(domain, agent):
                continue
            if not self.is_older(self.trust.head(name)):
                return Finding(Wrong.MISSING, "the log of this agent is gone", name), ()
            remarks.append(f"{name} is not in it; it is older than what you saw of that log")
        return None, tuple(remarks)


def _verify_log(source: _Lines, checked: _Checked, stretch: Stretch) -> Verdict:
    name, manifest, trust = stretch.name, checked.manifest, checked.trust
    head = trust.head(name)
    size = 0 if head is None else head.size
    within = head is not None and stretch.after <= size <= stretch.until
    verifier = LogVerifier(stretch, manifest.time, [trust.heads[name]] if within else [])
    key = fingerprint(stretch.public_key)
    if trust.agents.get(name) not in (None, key):
        verifier.fail_log(Wrong.KEY, f"it is signed with {key}, which is not the trusted key")
    window = Window(manifest.selection)
    if not window.begins(stretch.after, stretch.until):
        message = f"the log begins after record {stretch.after:,}, and all of it was selected"
        verifier.fail(Wrong.MISSING, 1, message)
    if head is not None and checked.is_older(head):
        verifier.remark(f"older than what you saw, which was signed at {rfc3339(head.time)}")
    elif manifest.selection.before is None:
        verifier.ends_before(size)
    if head is not None and not within:
        verifier.remark(f"your checkpoint of {size:,} records is outside of it, not compared")
    while verifier.finding is None and verifier.next <= stretch.until:
        _verify_piece(source, manifest, verifier, window)
    if manifest.selection.before is None:
        verifier.ends_at_last()
    return verifier.finish()


def _verify_piece(
    source: _Lines, manifest: Manifest, verifier: LogVerifier, window: Window
) -> None:
    """The next hashes and the records that follow them."""
    leaves = _leaves(source, manifest, verifier)
    if leaves is None:
        return
    source.take()
    verifier.sign_for(leaves.checkpoints)
    whole = frozenset(leaves.whole)
    for sequence, leaf in enumerate(leaves.hashes, leaves.first):
        missing = window.wrongly_left_out(sequence, whole=sequence in whole)
        if missing is not None:
            message = "the record is left out, and it was selected"
            verifier.fail(Wrong.MISSING, missing, message, source.number)
        elif sequence in whole:
            line = source.next
            if line is None or is_envelope(line):
                verifier.fail(Wrong.MISSING, sequence, "the record is missing", source.number)
            else:
                verifier.record(sequence, leaf, _content(line), source.number)
                source.take()
        verifier.leaf(leaf)
        if verifier.finding is not None:
            return


def _leaves(source: _Lines, manifest: Manifest, verifier: LogVerifier) -> Leaves | None:
    """The hashes that must come next; None where they don't, which is then found."""
    sequence, stretch = verifier.next, verifier.stretch
    if source.next is None:
        verifier.fail(Wrong.MISSING, sequence, "the export ends before this record", source.number)
        return None
    try:
        leaves = read_leaves(_content(source.next), manifest.key)
    except EnvelopeInvalid as error:
        message = f"the signed hashes that should stand before this record are changed: {error}"
        verifier.fail(Wrong.MANIFEST, sequence, message, source.number)
        return None
    place = (leaves.domain, leaves.agent, leaves.first, leaves.selection)
    fits = place == (stretch.domain, stretch.agent, sequence, manifest.selection)
    if not fits or leaves.last > stretch.until:
        message = f"the hashes of {leaves.domain}/{leaves.agent} from record {leaves.first} on"
        message += " stand where those of this record should"
        verifier.fail(Wrong.MISSING, sequence, message, source.number)
        return None
    return leaves


def _skip_to_start(
    source: _Lines, manifest: Manifest, starts: Mapping[tuple[str, str, int], int], place: int
) -> None:
    """After a log that failed: go to where one of those from `place` on begins."""
    while source.next is not None:
        if is_envelope(source.next):
            try:
                leaves = read_leaves(_content(source.next), manifest.key)
            except EnvelopeInvalid:
                leaves = None
            if leaves and starts.get((leaves.domain, leaves.agent, leaves.first), -1) >= place:
                return
        source.take()


def _content(line: bytes | None) -> bytes:
    """A line without its end; nothing, which fits nothing, where the end is missing."""
    return line[:-1] if line is not None and line.endswith(b"\n") else b""
