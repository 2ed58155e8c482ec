"""Evidence of reads at speed: real receipts, sealed, hashed and synced, without the reading."""

import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

from domain_agent.flight.ports import ReadContext
from domain_agent.reads.deciding import DatasetDecision
from domain_agent.reads.receipts import Statement, Totals
from mesh.decisions.deciding import Decided
from mesh.decisions.values import Decision, MaskChoice
from mesh.identity.principal import Caller, Principal, PrincipalKind, domain_audience
from mesh.masks import Mask
from tests.bench.decided import CONTRACT, asked
from tests.unit.reads.recording import recording

# The agent that `recording` is.
DOMAIN, AGENT = "bookings", "one"
_READERS = 20
_SQL = "SELECT name, email, country FROM bookings.reservations.passengers WHERE carrier = $1"


class Making:
    """An agent's evidence in a folder, and reads that fill it."""

    def __init__(self, folder: Path) -> None:
        self._made = recording(folder, lambda: datetime.now(UTC))
        self._statements = [_statement(number) for number in range(_READERS)]
        self._count = itertools.count()
        self.spool = self._made.spool

    def read(self) -> None:
        """The two events of one read."""
        statement = self._statements[next(self._count) % _READERS]
        receipt = self._made.receipts.started(statement)
        self._made.receipts.completed(receipt, Totals(1, 1, 1))

    def fill(self, events: int, threads: int) -> None:
        """Append at least that many events, from some threads at once."""
        last = self.spool.head.size + events

        def reads() -> None:
            while self.spool.head.size < last:
                self.read()

        with ThreadPoolExecutor(threads) as pool:
            for done in [pool.submit(reads) for _ in range(threads)]:
                done.result()

    def reading(self, pause: float) -> "Reading":
        """Reads one after another beside what a test does."""
        return Reading(self, pause)


class Reading:
    """One thread that reads on and on, within a block."""

    def __init__(self, making: Making, pause: float) -> None:
        self._making, self._pause = making, pause
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="reading")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            self._making.read()


def spread(total: int, parts: int) -> Iterator[int]:
    """Places within a total that cut it into about equal parts."""
    return (total * number // (parts + 1) for number in range(1, parts + 1))


def _statement(number: int) -> Statement:
    principal = Principal(PrincipalKind.USER, f"reader-{number}", teams=("ops", "planning"))
    caller = Caller(principal, domain_audience(DOMAIN), "token", datetime.now(UTC))
    made = asked(number)
    masks = {id_: MaskChoice(Mask.CLEAR, ("library.floor",)) for id_ in made.classes.values()}
    decided = Decided(Decision(allow=True, masks=masks), made.document, "0" * 64, cached=True)
    decision = DatasetDecision(CONTRACT, CONTRACT.datasets[0], None, made, decided)
    context = ReadContext(caller, "crew-planning", frozenset(), "ipv4:127.0.0.1:40000")
    return Statement(_SQL, context, (decision,), 12)
