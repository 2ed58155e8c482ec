"""R13: sixteen writers at once; every update on the newest state, a watcher that misses none."""

import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from control_plane.database import Database, migrate, open_database
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Entry, Sight
from examples.airline.processes import ROOT
from mesh.v1 import audit_pb2, purposes_pb2, status_pb2
from tests.faults.tally import Scale, Trial
from tests.unit.control_plane.running import Client, Plane, running

FAULT = "sixteen writers at once: read-modify-write in two processes, and calls over gRPC"
ALL = Sight(everything=True, domains=frozenset(), actor="")
PROCESSES, THREADS = 2, 8
WRITERS = PROCESSES * THREADS
PAGE, SECONDS = 50, 600.0
Opened = Callable[[str, str], Trial]


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str | None:
    """The URL of a database of the test's own; None for a file."""
    if request.param == "sqlite":
        return None
    return str(request.getfixturevalue("empty_postgres"))


@contextmanager
def writers(where: str, round_name: str, updates: int) -> Iterator[None]:
    """Processes that write within the block; all of them must end well."""
    started = [
        subprocess.Popen(
            [
                sys.executable, "-m", "tests.faults.writing",
                where, f"{round_name}-{number}", str(THREADS), str(updates),
            ],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]  # fmt: skip
    try:
        yield
    finally:
        ended = [(one.communicate()[1], one.returncode) for one in started]
    assert ended == [("", 0)] * PROCESSES


def watched(database: Database, after: int, count: int) -> list[Entry]:
    """What a watcher sees, page by page, until that many came."""
    seen: list[Entry] = []
    deadline = time.monotonic() + SECONDS
    while len(seen) < count:
        assert time.monotonic() < deadline, f"only {len(seen)} of {count} came"
        with database.reading() as tx:
            page = timeline.arrived(tx, ALL, seen[-1].position if seen else after, PAGE)
        seen += page
        if not page:
            time.sleep(0.005)
    return seen


def test_each_update_is_made_on_the_newest_and_seen_once_in_order(
    url: str | None, tmp_path: Path, scale: Scale, trial: Opened
) -> None:
    row, updates = trial("R13", FAULT), scale.of(500, 5)
    engine = open_database(tmp_path / "control.db", url)
    migrate(engine)
    database, first = Database(engine, lambda _: None), 0
    for number in range(scale.of(10, 1)):
        with writers(url or str(tmp_path), f"r{number}", updates):
            seen = watched(database, first, WRITERS * updates)
        last = first + WRITERS * updates
        assert [one.revision for one in seen] == list(range(first + 1, last + 1))
        assert [int(one.summary) for one in seen] == list(range(first, last))
        _check_each_writer(seen, updates)
        first = last
        row.tried += 1
        row.count("updates", len(seen))
    engine.dispose()
    row.count("updates lost, doubled, on an old state, or seen out of order", 0)


def _check_each_writer(seen: Sequence[Entry], updates: int) -> None:
    of_each: defaultdict[str, list[str]] = defaultdict(list)
    for one in seen:
        of_each[one.actor].append(one.reference)
    assert len(of_each) == WRITERS
    for writer, references in of_each.items():
        assert references == [f"{writer}-{number}" for number in range(updates)]


@dataclass(frozen=True, slots=True)
class Operation:
    """A call as its client saw it: what revision it was told, and between which instants."""

    began: float
    ended: float
    revision: int
    is_write: bool


def test_answers_never_contradict_the_order_of_calls(
    url: str | None, tmp_path: Path, scale: Scale, trial: Opened
) -> None:
    """Linearizable: an answer is at least as new as every answer before the call began."""
    row, calls = trial("R13", FAULT), scale.of(60, 5)
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    with running(tmp_path / "one", database=url, keys=keys) as one:
        token = one.admin.token
        with running(tmp_path / "other", database=url, keys=keys) if url else _same(one) as other:
            start = _revision(one.admin)
            clients = [(one if number % 2 else other).client(token) for number in range(WRITERS)]
            tail = one.admin.audit.TailEntries(
                audit_pb2.TailEntriesRequest(cursor="0"), timeout=SECONDS
            )
            with ThreadPoolExecutor(WRITERS) as pool:
                running_calls = [
                    pool.submit(_calls, client, number, calls)
                    for number, client in enumerate(clients)
                ]
                seen = [next(tail).entry for _ in range(start + WRITERS * calls)]
                history = [operation for done in running_calls for operation in done.result()]
            tail.cancel()
    assert [entry.revision for entry in seen] == list(range(1, len(seen) + 1))
    check_linearizable(history)
    written = Counter(one.revision for one in history if one.is_write)
    assert written == Counter(range(start + 1, start + WRITERS * calls + 1))
    row.tried += 1
    row.count("calls in histories checked", len(history))
    row.count("answers older than an earlier one", 0)


def check_linearizable(history: Sequence[Operation]) -> None:
    """Raise AssertionError when an answer is older than one that was there before its call."""
    by_end = sorted(history, key=lambda one: one.ended)
    newest, done = 0, 0
    for one in sorted(history, key=lambda one: one.began):
        while by_end[done].ended < one.began:
            newest = max(newest, by_end[done].revision)
            done += 1
        assert one.revision >= newest + one.is_write, f"{one} was answered after {newest}"


def test_the_check_of_histories_finds_what_is_stale() -> None:
    write, read = Operation(0.0, 1.0, 5, is_write=True), Operation(2.0, 3.0, 4, is_write=False)
    with pytest.raises(AssertionError, match="answered after 5"):
        check_linearizable([read, write])
    check_linearizable([write, Operation(0.5, 3.0, 4, is_write=False)])


def _calls(client: Client, writer: int, calls: int) -> list[Operation]:
    found: list[Operation] = []
    for number in range(calls):
        began = time.monotonic()
        request = purposes_pb2.AddPurposeRequest(id=f"p-{writer}-{number}", title="a purpose")
        revision = client.purposes.AddPurpose(request).purpose.revision
        between = time.monotonic()
        found.append(Operation(began, between, revision, is_write=True))
        read = _revision(client)
        found.append(Operation(between, time.monotonic(), read, is_write=False))
    return found


def _revision(client: Client) -> int:
    return client.status.GetStatus(status_pb2.GetStatusRequest()).revision


@contextmanager
def _same(plane: Plane) -> Iterator[Plane]:
    yield plane
