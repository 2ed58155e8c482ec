"""Evidence: how fast events become durable, beside writing the same bytes and syncing them."""

import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domain_agent.clock import SystemClock
from domain_agent.control.link import AgentIdentity
from domain_agent.control.witnessing import EVERY_EVENTS, EVERY_SECONDS, SignedHeads
from domain_agent.flight.ports import ReadContext
from domain_agent.reads.deciding import DatasetDecision
from domain_agent.reads.receipts import Receipts, Statement, Totals
from domain_agent.spool.files import Files
from domain_agent.spool.records import frame
from mesh.decisions.deciding import Decided
from mesh.decisions.values import Decision, MaskChoice
from mesh.evidence.codec import encode_event
from mesh.evidence.events import EventType
from mesh.identity.principal import Caller, Principal, PrincipalKind, domain_audience
from mesh.masks import Mask
from tests.bench.decided import CONTRACT, NOW, agreement, asked
from tests.bench.measuring import (
    Figure,
    Section,
    Spread,
    Target,
    alternate,
    percentiles,
    timed,
)
from tests.bench.surroundings import Surroundings
from tests.unit.reads.recording import Recording, recording

_ALONE, _THREADS, _EACH = 300, 32, 150
_TARGETS = {"started, 1 thread": Target(500)}
_SQL = "SELECT name, email, country FROM bookings.reservations.passengers WHERE carrier = $1"


def evidence(given: Surroundings) -> list[Section]:
    """Events as a read makes them: one that it started, one that it completed."""
    made = recording(given.folder, lambda: NOW)
    receipts = made.receipts
    given.stack.enter_context(_signed(made, given.folder / "checkpoint"))
    statement = _statement()
    receipts.completed(receipts.started(statement), Totals(1, 1, 1))
    event = next(event for event in made.reads() if event.type is EventType.STARTED)
    record = frame(encode_event(event))
    runs: dict[str, Callable[[], list[float]]] = {
        "started, 1 thread": lambda: _appended(receipts, statement),
        "completed, 1 thread": lambda: _completed(receipts, statement),
        "write and fdatasync, same bytes": lambda: _written(given.folder / "raw", record),
        "SQLite commit, same bytes": lambda: _committed(given.folder / "raw.db", record),
        "encode and frame only": lambda: timed([lambda: frame(encode_event(event))] * _ALONE),
    }
    alone = alternate(runs, given.rounds)
    together = alternate({"": lambda: _together(receipts, statement)}, given.rounds)[""]
    figures = [
        Figure(f"{what}, p50", percentiles(of, 50, 1e6), "µs", _TARGETS.get(what))
        for what, of in alone.items()
    ]
    rate = Figure(f"events, {_THREADS} threads", Spread.of(together), "/s", Target(10_000, False))
    figures.append(rate)
    note = (
        "Canonical form, seal, leaf, group commit and fdatasync, while heads are signed. A started"
        f" event has {len(record):,} bytes; half of the events of {_THREADS} threads are such."
    )
    return [Section("Evidence", figures, note)]


@contextmanager
def _signed(made: Recording, path: Path) -> Iterator[None]:
    """Sign the log's head every 1,000 events or second, as an agent does while it serves."""
    identity = AgentIdentity("bookings", "bookings-1", Ed25519PrivateKey.generate())
    heads = SignedHeads(path, identity, Files(), SystemClock())
    ended = threading.Event()

    def sign() -> None:
        size = 0
        while not ended.is_set():
            made.spool.wait_after(size + EVERY_EVENTS - 1, EVERY_SECONDS)
            head = made.spool.head
            if head.size > size:
                heads.sign(head.size, head.root)
                size = head.size

    thread = threading.Thread(target=sign)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


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


def _committed(path: Path, record: bytes) -> list[float]:
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            database.execute(f"PRAGMA {pragma}")
        database.execute("CREATE TABLE IF NOT EXISTS record (id INTEGER PRIMARY KEY, record BLOB)")
        insert = "INSERT INTO record (record) VALUES (?)"
        return timed([lambda: database.execute(insert, (record,))] * _ALONE)


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
