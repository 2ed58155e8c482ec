"""What the control plane signs of an export: the logs in it, and the hashes of their records."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mesh.evidence.envelopes import (
    EnvelopeInvalid,
    Sign,
    decode_bytes,
    encode_bytes,
    read_line,
    signed_line,
)
from mesh.evidence.merkle import HASH_BYTES, Frontier
from mesh.times import parse_rfc3339, rfc3339_micros

MANIFEST_TYPE = "application/vnd.meshwarden.export.v1+json"
LEAVES_TYPE = "application/vnd.meshwarden.leaves.v1+json"


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
    document = {
        "key": encode_bytes(manifest.key),
        "time": rfc3339_micros(manifest.time),
        "selection": _selection(manifest.selection),
        "logs": [_stretch(stretch) for stretch in manifest.stretches],
    }
    return signed_line(MANIFEST_TYPE, document, manifest.key, sign)


def leaves_line(leaves: Leaves, key: bytes, sign: Sign) -> bytes:
    """The leaves, signed, as a line without its end."""
    document = {
        "domain": leaves.domain,
        "agent": leaves.agent,
        "first": leaves.first,
        "hashes": encode_bytes(b"".join(leaves.hashes)),
        "whole": _ranges(leaves.whole),
        "selection": _selection(leaves.selection),
        "checkpoints": list(leaves.checkpoints),
    }
    return signed_line(LEAVES_TYPE, document, key, sign)


def read_manifest(line: bytes) -> Manifest:
    """The manifest, signed by the key that it names. Raises EnvelopeInvalid."""
    read = read_line(line, MANIFEST_TYPE)
    try:
        document = json.loads(read.payload)
        manifest = Manifest(
            key=decode_bytes(document["key"]),
            time=parse_rfc3339(document["time"]),
            selection=_read_selection(document["selection"]),
            stretches=tuple(_read_stretch(part) for part in document["logs"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise EnvelopeInvalid(f"its payload is no manifest: {error}") from error
    read.check(manifest.key)
    return manifest


def read_leaves(line: bytes, key: bytes) -> Leaves:
    """The leaves, signed by this key. Raises EnvelopeInvalid."""
    read = read_line(line, LEAVES_TYPE)
    read.check(key)
    try:
        document = json.loads(read.payload)
        return Leaves(
            domain=document["domain"],
            agent=document["agent"],
            first=int(document["first"]),
            hashes=_hashes(decode_bytes(document["hashes"])),
            whole=tuple(n for first, last in document["whole"] for n in range(first, last + 1)),
            selection=_read_selection(document["selection"]),
            checkpoints=tuple(document["checkpoints"]),
        )
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise EnvelopeInvalid(f"its payload is no list of hashes: {error}") from error


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
    after, until = part["after"], part["until"]
    if not (isinstance(nodes, list) and isinstance(notes, list)):
        raise TypeError("frontier and checkpoints are lists")
    if not (isinstance(after, int) and isinstance(until, int) and until >= after):
        raise TypeError("after and until are numbers in this order")
    return Stretch(
        domain=str(part["domain"]),
        agent=str(part["agent"]),
        public_key=decode_bytes(part["public_key"]),
        frontier=Frontier(after, tuple(decode_bytes(node) for node in nodes)),
        until=until,
        checkpoints=tuple(str(note) for note in notes),
        problem=str(part["problem"]),
    )


def _selection(selection: Selection) -> dict[str, object]:
    return {
        "domain": selection.domain,
        "agent": selection.agent,
        "since": _written(selection.since),
        "before": _written(selection.before),
    }


def _read_selection(part: Mapping[str, str | None]) -> Selection:
    return Selection(
        part["domain"], part["agent"], _instant(part["since"]), _instant(part["before"])
    )


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else rfc3339_micros(instant)


def _instant(text: str | None) -> datetime | None:
    return None if text is None else parse_rfc3339(text)


def _hashes(packed: bytes) -> tuple[bytes, ...]:
    if not packed or len(packed) % HASH_BYTES:
        raise ValueError(f"hashes have {HASH_BYTES} bytes each")
    starts = range(0, len(packed), HASH_BYTES)
    return tuple(packed[at : at + HASH_BYTES] for at in starts)


def _ranges(numbers: Iterable[int]) -> list[list[int]]:
    """Ascending numbers as first and last of each run."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return runs
