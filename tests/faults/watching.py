"""An agent that is read from while something is wrong, and must be well again without a restart."""

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from domain_agent.spool.segments import SpoolDamaged
from mesh.evidence.checkpoints import Checkpoint, open_checkpoint
from tests.e2e.town import wait_until
from tests.faults.ledger import Ledger
from tests.faults.reading import Reader
from tests.faults.stage import Sizes, Stage

SIZES = Sizes(segment=10_000)


@dataclass(slots=True)
class Watched:
    """A serving agent and its readers. `state` is where its files lie."""

    stage: Stage
    uri: str
    readers: list[Reader]
    state: Path
    ledger: Ledger
    standing: str = ""

    @property
    def served(self) -> int:
        """How many statements came whole."""
        return sum(one.end == "complete" for reader in self.readers for one in reader.seen)

    def refused(self, reason: str) -> int:
        """How often readers were told this reason."""
        return sum(reader.refusals[reason] for reader in self.readers)

    def each_is_refused(self, reason: str, seconds: float = 30.0) -> None:
        """Wait until every reader has been refused once more."""
        before = [reader.refusals[reason] for reader in self.readers]
        wait_until(
            lambda: all(
                reader.refusals[reason] > count
                for reader, count in zip(self.readers, before, strict=True)
            ),
            f"every reader is refused: {reason}",
            seconds,
        )

    def serves_again(self, seconds: float = 60.0) -> float:
        """Wait until every reader is served once more; how long it took."""
        began, before = time.monotonic(), [len(reader.seen) for reader in self.readers]
        wait_until(
            lambda: all(
                any(one.end == "complete" for one in reader.seen[count:])
                for reader, count in zip(self.readers, before, strict=True)
            ),
            "every reader is served again",
            seconds,
        )
        return time.monotonic() - began

    def settle(self) -> None:
        """Stop reading; everything must be stored, complete and right. The agent stays up.

        The end of a read that could not be written is written with the next event, so reads go
        on for a moment.
        """
        self.serves_again()
        for reader in self.readers:
            reader.stop()
            assert not reader.errors, reader.errors[:3]
            self.ledger.clients += reader.seen
        self.readers.clear()
        try:
            wait_until(self._is_whole, "all is stored that is on the disk, and signed for", 60.0)
        except AssertionError as late:
            raise AssertionError(f"{late}; {self.standing}") from late
        self.ledger.settle(self._head())

    def _head(self) -> Checkpoint:
        note = (self.state / "checkpoint").read_text()
        return open_checkpoint(note, self.stage.public_key)

    def _is_whole(self) -> bool:
        try:
            last = self.ledger.disk(self.state, self.stage.public_key)
        except (OSError, SpoolDamaged) as moving:
            # The copy was taken while the agent wrote.
            self.standing = str(moving)
            return False
        stored = self.ledger.plane(self.stage.stored(self.ledger.stored))
        signed = self._head().size
        self.standing = f"on the disk {last}, stored {stored}, signed {signed}"
        return stored == last == signed


@contextmanager
def watched(
    stage: Stage,
    users: int = 3,
    extra: Sequence[str] = (),
    inside: Sequence[str] = (),
    expected: frozenset[str] = frozenset(),
    sizes: Sizes = SIZES,
) -> Iterator[Watched]:
    """The stage's agent with some users reading, until the block ends."""
    began = time.monotonic()
    agent = stage.launch(sizes, extra, inside)
    uri = stage.serving()
    assert uri is not None
    state = stage.state
    if inside:
        state = Path(f"/proc/{agent.process.pid}/root") / state.relative_to("/")
    reading = [
        Reader(
            uri,
            stage.token(f"watcher-{number}"),
            random.Random(number),  # noqa: S311 - a seeded series
            began,
            expected=expected,
        )
        for number in range(users)
    ]
    try:
        for one in reading:
            one.start()
        yield Watched(stage, uri, reading, state, Ledger())
    finally:
        stage.stop()
        for one in reading:
            one.stop()
