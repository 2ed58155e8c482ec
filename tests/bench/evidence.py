"""Evidence: how fast events become durable, beside writing the same bytes and syncing them."""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from domain_agent.flight.ports import ReadContext
from domain_agent.reads.deciding import DatasetDecision
from domain_agent.reads.receipts import Receipts, Statement, Totals
from domain_agent.spool.records import frame
from mesh.decisions.deciding import Decided
from mesh.decisions.values import Decision, MaskChoice
from mesh.evidence.codec import encode_event
from mesh.evidence.events import EventType
from mesh.identity.principal import Caller, Principal, PrincipalKind, domain_audience
from mesh.masks import Mask
from tests.bench.decided import CONTRACT, NOW, agreement, asked
from tests.bench.measuring import Figure, Section, Spread, alternate, percentiles, timed
from tests.bench.surroundings import Surroundings
from tests.unit.reads.recording import recording

_ALONE, _THREADS, _EACH = 300, 32, 40
_SQL = "SELECT name, email, country FROM bookings.reservations.passengers WHERE carrier = $1"


def evidence(given: Surroundings) -> list[Section]:
    """Events as a read makes them: one that it started, one that it completed."""
    made = recording(given.folder, lambda: NOW)
    receipts = made.receipts
    statement = _statement()
    receipts.completed(receipts.started(statement), Totals(1, 1, 1))
    event = next(event for event in made.reads() if event.type is EventType.STARTED)
    record = frame(encode_event(event))
    runs: dict[str, Callable[[], list[float]]] = {
        "started, 1 thread": lambda: _appended(receipts, statement),
        "completed, 1 thread": lambda: _completed(receipts, statement),
        "write and fdatasync, same bytes": lambda: _written(given.folder / "raw", record),
        "encode and frame only": lambda: timed([lambda: frame(encode_event(event))] * _ALONE),
    }
    alone = alternate(runs, given.rounds)
    together = alternate({"": lambda: _together(receipts, statement)}, given.rounds)[""]
    figures = [Figure(f"{n}, p50", percentiles(of, 50, 1e6), "µs") for n, of in alone.items()]
    figures.append(Figure(f"events, {_THREADS} threads", Spread.of(together), "/s"))
    note = f"A started event has {len(record):,} bytes; half of the events of 32 threads are such."
    return [Section("Evidence", figures, note)]


def _statement() -> Statement:
    principal = Principal(PrincipalKind.USER, "reader-0", teams=("ops", "planning"))
    caller = Caller(principal, domain_audience("bookings"), "token", NOW)
    made = asked(0)
    masks = {id_: MaskChoice(Mask.CLEAR, ("library.floor",)) for id_ in made.classes.values()}
    decided = Decided(Decision(allow=True, masks=masks), made.document, "0" * 64, cached=True)
    decision = DatasetDecision(CONTRACT, CONTRACT.datasets[0], agreement(0), made, decided)
    context = ReadContext(caller, "crew-planning", frozenset(), "ipv4:127.0.0.1:40000")
    return Statement(_SQL, context, (decision,), 12)


def _appended(receipts: Receipts, statement: Statement) -> list[float]:
    started: list[str] = []
    times = timed([lambda: started.append(receipts.started(statement))] * _ALONE)
    for receipt in started:
        receipts.completed(receipt, Totals(1, 1, 1))
    return times


def _completed(receipts: Receipts, statement: Statement) -> list[float]:
    started = iter([receipts.started(statement) for _ in range(_ALONE)])
    return timed([lambda: receipts.completed(next(started), Totals(1, 1, 1))] * _ALONE)


def _written(path: Path, record: bytes) -> list[float]:
    descriptor = os.open(path, os.O_CREAT | os.O_TRUNC | os.O_WRONLY | os.O_APPEND, 0o600)

    def write() -> None:
        os.write(descriptor, record)
        os.fdatasync(descriptor)

    try:
        return timed([write] * _ALONE)
    finally:
        os.close(descriptor)


def _together(receipts: Receipts, statement: Statement) -> float:
    """Durable events in a second, from many threads at once."""
    written = count()

    def reads() -> None:
        for _ in range(_EACH):
            receipts.completed(receipts.started(statement), Totals(1, 1, 1))
            next(written)

    with ThreadPoolExecutor(_THREADS) as threads:
        began = time.perf_counter()
        for done in [threads.submit(reads) for _ in range(_THREADS)]:
            done.result()
    return 2 * next(written) / (time.perf_counter() - began)
