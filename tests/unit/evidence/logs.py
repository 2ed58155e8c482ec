"""Logs that agents could have written, and exports of them, made of the shared parts alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.evidence.checkpoints import Checkpoint, sign_checkpoint
from mesh.evidence.codec import encode_event
from mesh.evidence.events import EventType, UsageEvent, agent_source
from mesh.evidence.manifests import (
    Leaves,
    Manifest,
    Selection,
    Stretch,
    leaves_line,
    manifest_line,
)
from mesh.evidence.merkle import Frontier, leaf_hash

BASE = datetime(2026, 11, 25, 8, 0, tzinfo=UTC)
CONTROL = Ed25519PrivateKey.from_private_bytes(b"\x01" * 32)
CONTROL_KEY = CONTROL.public_key().public_bytes_raw()


@dataclass
class Log:
    """One agent's log with the key that signs it."""

    name: str
    records: list[bytes]
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def domain(self) -> str:
        return self.name.partition("/")[0]

    @property
    def agent(self) -> str:
        return self.name.partition("/")[2]

    @property
    def public_key(self) -> bytes:
        return self.key.public_key().public_bytes_raw()

    @property
    def hashes(self) -> list[bytes]:
        return [leaf_hash(record) for record in self.records]

    def frontier(self, size: int) -> Frontier:
        return Frontier().extend(self.hashes[:size])

    def note(self, size: int, key: Ed25519PrivateKey | None = None) -> str:
        """The agent's checkpoint of that size."""
        time = BASE + timedelta(seconds=size)
        checkpoint = Checkpoint(self.domain, self.agent, size, self.frontier(size).root, time)
        public = (key or self.key).public_key().public_bytes_raw()
        return sign_checkpoint(checkpoint, public, (key or self.key).sign)


def event(name: str, sequence: int, text: str = "", start: datetime = BASE) -> UsageEvent:
    """An event as an agent logs it."""
    domain, _, agent = name.partition("/")
    kind = EventType.STARTED if sequence % 2 else EventType.COMPLETED
    receipt = f"{name}-{sequence - (sequence + 1) % 2}"
    return UsageEvent(
        id=f"{name}-{sequence}",
        source=agent_source(domain, agent),
        type=kind,
        time=start + timedelta(milliseconds=sequence),
        sequence=sequence,
        receipt=receipt,
        data={"statement": f"SELECT {sequence}{text}", "salt": "c2FsdA==", "rows": sequence},
    )


def log(name: str, size: int, text: str = "", seed: int = 7, start: datetime = BASE) -> Log:
    """A log of so many records."""
    records = [encode_event(event(name, n, text, start)) for n in range(1, size + 1)]
    return Log(name, records, Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32))


@dataclass(frozen=True)
class Shape:
    """How an export is cut: piece length, sizes with checkpoints, and the first record wanted."""

    piece: int = 5
    sizes: tuple[int, ...] = ()
    after: int = 0
    whole_from: int = 0


def stretch(one: Log, shape: Shape, *notes: str) -> Stretch:
    """The whole rest of a log, its last checkpoint in the manifest."""
    size = len(one.records)
    return Stretch(
        one.domain,
        one.agent,
        one.public_key,
        one.frontier(shape.after),
        size,
        notes or (one.note(size),),
    )


def pieces(one: Log, shape: Shape, selection: Selection) -> Iterable[list[bytes]]:
    """Lines of each piece: signed hashes, then the records that are whole."""
    size = len(one.records)
    for start in range(shape.after, size, shape.piece):
        stop = min(start + shape.piece, size)
        whole = tuple(n for n in range(start + 1, stop + 1) if n > shape.whole_from)
        leaves = Leaves(
            domain=one.domain,
            agent=one.agent,
            first=start + 1,
            hashes=tuple(one.hashes[start:stop]),
            whole=whole,
            selection=selection,
            checkpoints=tuple(one.note(n) for n in shape.sizes if start < n <= stop),
        )
        yield [leaves_line(leaves, CONTROL_KEY, CONTROL.sign), *(one.records[n - 1] for n in whole)]


def export(
    logs: Sequence[Log],
    shape: Shape = Shape(),
    stretches: Sequence[Stretch] = (),
    selection: Selection = Selection(),  # noqa: B008 - frozen
) -> list[bytes]:
    """The lines of an export, each with its end."""
    found = tuple(stretches) or tuple(stretch(one, shape) for one in logs)
    time = BASE + timedelta(minutes=4)
    manifest = Manifest(CONTROL_KEY, time, selection, found)
    lines = [manifest_line(manifest, CONTROL.sign)]
    for one in logs:
        for piece in pieces(one, shape, selection):
            lines += piece
    return [line + b"\n" for line in lines]


def replaced(one: Log, sequence: int, record: bytes) -> Log:
    """The log with another record in one place."""
    records = list(one.records)
    records[sequence - 1] = record
    return replace(one, records=records)
