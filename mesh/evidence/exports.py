"""Checks a whole export: the manifest, then each log's signed hashes and records, line by line."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from mesh.evidence.checkpoints import read_checkpoint
from mesh.evidence.envelopes import EnvelopeInvalid, fingerprint, is_envelope
from mesh.evidence.manifests import Leaves, Manifest, Stretch, read_leaves, read_manifest
from mesh.evidence.verifying import Finding, LogVerifier, Verdict, Wrong


@dataclass(frozen=True, slots=True)
class Trust:
    """What an auditor knows from elsewhere: fingerprints of keys, and notes, by agent."""

    control_plane: str | None = None
    agents: Mapping[str, str] = field(default_factory=dict)
    heads: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExportVerdict:
    """How an export stands. `finding` is about the export as a whole; logs have their own."""

    manifest: Manifest | None
    finding: Finding | None
    logs: tuple[Verdict, ...] = ()

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

    `latest` tells that it was made just now, so that no log may be shorter than what is known.
    """
    trust = trust or Trust()
    source = _Lines(lines)
    try:
        manifest = read_manifest(_content(source.next))
    except EnvelopeInvalid as error:
        message = f"the manifest is changed or missing: {error}"
        return ExportVerdict(None, Finding(Wrong.MANIFEST, message, line=1))
    source.take()
    logs: list[Verdict] = []
    for place, stretch in enumerate(manifest.stretches):
        if any(log.finding for log in logs):
            _skip_to_start(source, manifest, place)
        logs.append(_verify_log(source, manifest, stretch, trust, latest=latest))
    finding = _untrusted(manifest, trust, latest=latest)
    if finding is None and source.next is not None and not any(log.finding for log in logs):
        message = "the export goes on after its last record"
        finding = Finding(Wrong.EXTRA, message, line=source.number)
    return ExportVerdict(manifest, finding, tuple(logs))


def _untrusted(manifest: Manifest, trust: Trust, *, latest: bool) -> Finding | None:
    key = fingerprint(manifest.key)
    if trust.control_plane not in (None, key):
        message = f"it is signed with {key}, which is not the trusted key"
        return Finding(Wrong.KEY, message, line=1)
    there = {stretch.name for stretch in manifest.stretches}
    for name in sorted({*trust.agents, *trust.heads} - there):
        domain, _, agent = name.partition("/")
        if latest and manifest.selection.names(domain, agent):
            return Finding(Wrong.MISSING, "the log of this agent is gone", name)
    return None


def _verify_log(
    source: _Lines, manifest: Manifest, stretch: Stretch, trust: Trust, *, latest: bool
) -> Verdict:
    name = stretch.name
    head = trust.heads.get(name)
    size = 0 if head is None else read_checkpoint(head).size
    within = head is not None and stretch.after <= size <= stretch.until
    verifier = LogVerifier(stretch, manifest.time, [head] if head and within else [])
    key = fingerprint(stretch.public_key)
    if trust.agents.get(name) not in (None, key):
        verifier.fail_log(Wrong.KEY, f"it is signed with {key}, which is not the trusted key")
    if latest and manifest.selection.before is None:
        verifier.ends_before(size)
    while verifier.finding is None and verifier.next <= stretch.until:
        _verify_piece(source, manifest, verifier)
    return verifier.finish()


def _verify_piece(source: _Lines, manifest: Manifest, verifier: LogVerifier) -> None:
    """The next hashes and the records that follow them."""
    leaves = _leaves(source, manifest, verifier)
    if leaves is None:
        return
    source.take()
    verifier.sign_for(leaves.checkpoints)
    whole = frozenset(leaves.whole)
    for sequence, leaf in enumerate(leaves.hashes, leaves.first):
        if sequence in whole:
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


def _skip_to_start(source: _Lines, manifest: Manifest, place: int) -> None:
    """After a log that failed: go to where one of those from `place` on begins."""
    starts = {(one.domain, one.agent, one.after + 1) for one in manifest.stretches[place:]}
    while source.next is not None:
        if is_envelope(source.next):
            try:
                leaves = read_leaves(_content(source.next), manifest.key)
            except EnvelopeInvalid:
                leaves = None
            if leaves is not None and (leaves.domain, leaves.agent, leaves.first) in starts:
                return
        source.take()


def _content(line: bytes | None) -> bytes:
    """A line without its end; less than that where the end is missing, so that it fits nothing."""
    return b"" if line is None else line[:-1]
