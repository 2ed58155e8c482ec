"""One round: the agent of the round before starts, is read from, and dies at a point."""

import contextlib
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from domain_agent.spool.segments import SpoolDamaged
from mesh.evidence.checkpoints import open_checkpoint
from tests.e2e.town import wait_until
from tests.faults.ledger import Ledger
from tests.faults.points import POINTS, Needs
from tests.faults.reading import Reader, readers
from tests.faults.stage import Sizes, Stage
from tests.faults.tally import Trial

DEATH_SECONDS = 90.0
_SEGMENTS = (3_000, 10_000, 40_000)
_QUOTAS = (60_000, 1 << 20)


@dataclass(slots=True)
class Rounds:
    """A lane of rounds on one stage, with all that was seen of its agent's log."""

    stage: Stage
    trial: Trial
    ledger: Ledger = field(default_factory=Ledger)
    number: int = 0

    def kill_at(self, name: str, seed: int) -> None:
        """Kill the agent at a point, and compare what is on its disk. Raises AssertionError."""
        point, rng = POINTS[name], random.Random(f"{name} {seed}")  # noqa: S311 - a seeded series
        if point.needs is Needs.UNFINISHED:
            self._kill("batch.allowed", rng, rng.randint(2, 8))
        if point.needs is Needs.TORN_END:
            self._kill("record.torn", rng, rng.randint(1, 12))
        self._kill(name, rng, rng.randint(1, point.most))
        self.trial.tried += 1

    def _kill(self, name: str, rng: random.Random, nth: int) -> None:
        self.number += 1
        sizes = Sizes(rng.choice(_SEGMENTS), rng.choice(_QUOTAS), rng.choice((16_384, 131_072)))
        kept = f"--kept={rng.random():.3f}"
        fresh = f"fresh-{self.number}"
        tokens = [self.stage.token(user) for user in ("steady", fresh, f"{fresh}-too")]
        began = time.monotonic()
        self.stage.launch(sizes, (f"--point={name}", f"--nth={nth}", kept))
        uri = self.stage.serving()
        reading: list[Reader] = []
        try:
            if uri is not None:
                reading = readers(uri, tokens, rng, began, refused_too=name == "read.refused")
                self._govern(POINTS[name].needs, reading, fresh)
            code = self.stage.gone(DEATH_SECONDS)
        finally:
            self.stage.stop()
            for reader in reading:
                reader.stop()
        assert code == -signal.SIGKILL, f"{name} was not reached {nth} times ({code})"
        self._hear(reading)
        self.ledger.disk(self.stage.state, self.stage.public_key)
        self.ledger.plane(self.stage.stored(self.ledger.stored))

    def _govern(self, needs: Needs, reading: list[Reader], fresh: str) -> None:
        """Do what leads to the point, beside reading."""
        if needs is Needs.ERASURE:
            self._until(lambda: bool(reading[1].seen))
            self.stage.erase(fresh)
        if needs is Needs.REVOCATION:
            lone = f"lone-{self.number}"
            agreement = self.stage.agree(f"user:{lone}", lone)
            rng = random.Random(self.number)  # noqa: S311 - a seeded series
            reader = Reader(reading[0].uri, self.stage.token(lone), rng, time.monotonic())
            reader.start()
            reading.append(reader)
            self._until(lambda: any(one.batches for one in reader.seen))
            self.stage.revoke(agreement)

    def _until(self, holds: Callable[[], bool]) -> None:
        """Wait for what leads to the point; the agent may die at it before."""
        assert self.stage.agent is not None
        process = self.stage.agent.process
        wait_until(lambda: holds() or process.poll() is not None, "the round is prepared", 30.0)

    def _hear(self, reading: list[Reader]) -> None:
        for reader in reading:
            assert not reader.errors, reader.errors[:3]
            self.ledger.clients += reader.seen
        served = [reader.first for reader in reading[:3] if reader.first is not None]
        if served:
            self.trial.took("restart to a served row", min(served))

    def settle(self) -> None:
        """Let it run undisturbed until everything is stored; nothing may be missing or open."""
        stage, ledger = self.stage, self.ledger
        stage.launch(Sizes())
        uri = stage.serving()
        assert uri is not None
        rng = random.Random(self.number)  # noqa: S311 - a seeded series
        reading = readers(uri, [stage.token("steady")], rng, time.monotonic(), refused_too=False)
        wait_until(lambda: len(reading[0].seen) > 2, "reads are served after all this")
        reading[0].stop()
        self._hear(reading)
        wait_until(self._is_whole, "the control plane has all that is on the disk", 30.0)
        wait_until(lambda: stage.erasures_open() == 0, "erasures are done", 30.0)
        wait_until(self._is_whole, "the control plane has all that is on the disk", 30.0)
        assert stage.agent is not None
        stage.agent.process.terminate()
        assert stage.gone(30.0) == 0
        assert self._is_whole()
        note = (stage.state / "checkpoint").read_text()
        ledger.settle(open_checkpoint(note, stage.public_key))
        left = [path.name for path in stage.state.rglob("*.new")]
        assert not left, f"files that were never finished are still there: {left}"

    def _is_whole(self) -> bool:
        # The copy may be taken while the agent writes.
        with contextlib.suppress(OSError, SpoolDamaged):
            last = self.ledger.disk(self.stage.state, self.stage.public_key)
            return self.ledger.plane(self.stage.stored(self.ledger.stored)) == last
        return False

    def count(self) -> None:
        """Put what was seen into the row."""
        ledger, row = self.ledger, self.trial
        row.count("reads begun", ledger.reads)
        row.count("streams noted by clients", len(ledger.clients))
        row.count("records", ledger.settled)
        row.count("rows without evidence", 0)
        row.count("records lost, changed or doubled", 0)
