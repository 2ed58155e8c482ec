"""What the control plane signs of an export: the logs in it, and the hashes of their records."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mesh.evidence.canonical import canonical
from mesh.evidence.envelopes import (
    EnvelopeInvalid,
    Sign,
    decode_bytes,
    encode_bytes,
    read_line,
    signed_line,
)
from mesh.evidence.fields import (
    ODD,
    agent_of,
    domain_of,
    hashes_of,
    in_short,
    key_of,
    number_of,
    numbers_of,
    text_of,
)
from mesh.evidence.merkle import Frontier
from mesh.times import parse_rfc3339, rfc3339_micros

MANIFEST_TYPE = "application/vnd.meshwarden.export.v1+json"
LEAVES_TYPE = "application/vnd.meshwarden.leaves.v1+json"
_YEARS = range(2000, 3000)


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records an export has whole; None selects all. The times are those of arrival."""

    domain: str | None = None
    agent: str | None = None
    since: datetime | None = None
    before: datetime | None = None

    def names(self, domain: str, agent: str) -> bool:
        """Whether the log is in the export."""
        return self.domain in (None, domain) and self.agent in (None, agent)


@dataclass(frozen=True, slots=True)
class Stretch:
    """The part of one agent's log that an export tells of: the records after one up to another.

    `frontier` is the log's at `after`; `checkpoints` are notes that tell the most of it.
    """

    domain: str
    agent: str
    public_key: bytes
    frontier: Frontier
    until: int
    checkpoints: tuple[str, ...] = ()
    problem: str = ""

    @property
    def name(self) -> str:
        """The agent's name, `domain/id`."""
        return f"{self.domain}/{self.agent}"

    @property
    def after(self) -> int:
        """The sequence before the first record."""
        return self.frontier.size


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an export holds, as of a time. `key` (32 bytes) signs it and all its leaves."""

    key: bytes
    time: datetime
    selection: Selection = field(default_factory=Selection)
    stretches: tuple[Stretch, ...] = ()


@dataclass(frozen=True, slots=True)
class Leaves:
    """Consecutive leaf hashes of a log, and which of their records follow whole.

    `whole` are the sequences of those, `checkpoints` the notes that end at one of the leaves.
    """

    domain: str
    agent: str
    first: int
    hashes: tuple[bytes, ...]
    whole: tuple[int, ...]
    selection: Selection
    checkpoints: tuple[str, ...] = ()

    @property
    def last(self) -> int:
        """The sequence of the last leaf."""
        return self.first + len(self.hashes) - 1


def manifest_line(manifest: Manifest, sign: Sign) -> bytes:
    """The manifest, signed, as a line without its end."""
    return signed_line(MANIFEST_TYPE, _manifest(manifest), manifest.key, sign)


def leaves_line(leaves: Leaves, key: bytes, sign: Sign) -> bytes:
    """The leaves, signed, as a line without its end."""
    return signed_line(LEAVES_TYPE, _leaves(leaves), key, sign)


def read_manifest(line: bytes) -> Manifest:
    """The manifest, signed by the key that it names. Raises EnvelopeInvalid."""
    read = read_line(line, MANIFEST_TYPE)
    try:
        document = json.loads(read.payload)
        manifest = Manifest(
            key=key_of(document["key"]),
            time=_made(document["time"]),
            selection=_read_selection(document["selection"]),
            stretches=tuple(_read_stretch(part) for part in document["logs"]),
        )
        names = [stretch.name for stretch in manifest.stretches]
        if len(set(names)) < len(names):
            raise ValueError("a log is in it twice")
        if not all(manifest.selection.names(*name.split("/")) for name in names):
            raise ValueError("a log is in it that is not selected")
        same = canonical(_manifest(manifest)) == read.payload
    except ODD as error:
        raise EnvelopeInvalid(f"its payload is no manifest: {in_short(error)}") from error
    if not same:
        raise EnvelopeInvalid("its payload is no manifest in its one form")
    read.check(manifest.key)
    return manifest


def read_leaves(line: bytes, key: bytes) -> Leaves:
    """The leaves, signed by this key. Raises EnvelopeInvalid."""
    read = read_line(line, LEAVES_TYPE)
    read.check(key)
    try:
        document = json.loads(read.payload)
        first, hashes = number_of(document["first"]), hashes_of(decode_bytes(document["hashes"]))
        leaves = Leaves(
            domain=domain_of(document["domain"]),
            agent=agent_of(document["agent"]),
            first=first,
            hashes=hashes,
            whole=numbers_of(document["whole"], first, first + len(hashes) - 1),
            selection=_read_selection(document["selection"]),
            checkpoints=tuple(text_of(note) for note in document["checkpoints"]),
        )
        same = canonical(_leaves(leaves)) == read.payload
    except ODD as error:
        raise EnvelopeInvalid(f"its payload is no list of hashes: {in_short(error)}") from error
    if not same:
        raise EnvelopeInvalid("its payload is no list of hashes in its one form")
    return leaves


def _manifest(manifest: Manifest) -> dict[str, object]:
    return {
        "key": encode_bytes(manifest.key),
        "time": rfc3339_micros(manifest.time),
        "selection": _selection(manifest.selection),
        "logs": [_stretch(stretch) for stretch in manifest.stretches],
    }


def _leaves(leaves: Leaves) -> dict[str, object]:
    return {
        "domain": leaves.domain,
        "agent": leaves.agent,
        "first": leaves.first,
        "hashes": encode_bytes(b"".join(leaves.hashes)),
        "whole": _ranges(leaves.whole),
        "selection": _selection(leaves.selection),
        "checkpoints": list(leaves.checkpoints),
    }


def _stretch(stretch: Stretch) -> dict[str, object]:
    return {
        "domain": stretch.domain,
        "agent": stretch.agent,
        "public_key": encode_bytes(stretch.public_key),
        "after": stretch.after,
        "until": stretch.until,
        "frontier": [encode_bytes(node) for node in stretch.frontier.nodes],
        "checkpoints": list(stretch.checkpoints),
        "problem": stretch.problem,
    }


def _read_stretch(part: Mapping[str, object]) -> Stretch:
    nodes, notes = part["frontier"], part["checkpoints"]
    after, until = number_of(part["after"]), number_of(part["until"])
    if not (isinstance(nodes, list) and isinstance(notes, list)):
        raise TypeError("frontier and checkpoints are lists")
    if until < after:
        raise ValueError("after and until are numbers in this order")
    return Stretch(
        domain=domain_of(part["domain"]),
        agent=agent_of(part["agent"]),
        public_key=key_of(part["public_key"]),
        frontier=Frontier(after, tuple(decode_bytes(node) for node in nodes)),
        until=until,
        checkpoints=tuple(text_of(note) for note in notes),
        problem=text_of(part["problem"]),
    )


def _selection(selection: Selection) -> dict[str, object]:
    return {
        "domain": selection.domain,
        "agent": selection.agent,
        "since": _written(selection.since),
        "before": _written(selection.before),
    }


def _read_selection(part: Mapping[str, object]) -> Selection:
    domain, agent = part["domain"], part["agent"]
    selection = Selection(
        None if domain is None else domain_of(domain),
        None if agent is None else agent_of(agent),
        _instant(part["since"]),
        _instant(part["before"]),
    )
    if selection.since and selection.before and selection.since >= selection.before:
        raise ValueError("`since` is not before `before`")
    return selection


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339_micros(instant)


def _instant(text: object) -> datetime | None:
    return None if text is None else parse_rfc3339(text_of(text))


def _made(text: object) -> datetime:
    """When a manifest was made."""
    made = parse_rfc3339(text_of(text))
    if made.year not in _YEARS:
        raise ValueError(f"no export is made in the year {made.year}")
    return made


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Ascending numbers as first and last of each run."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs
