"""A watcher misses nothing, whoever writes: many threads in two processes, on each database."""

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from control_plane.database import Database, migrate, open_database
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Entry, Sight

ROOT = Path(__file__).parents[2]
ALL = Sight(everything=True, domains=frozenset(), actor="")
PROCESSES, THREADS, CHANGES = 2, 8, 25
SECONDS = 120


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where the database is: a folder, or a URL."""
    if request.param == "postgres":
        return str(request.getfixturevalue("empty_postgres"))
    return str(tmp_path)


@pytest.fixture
def database(place: str) -> Iterator[Database]:
    url = place if place.startswith("postgresql://") else None
    engine = open_database(Path(place) / "control.db", url)
    migrate(engine)
    yield Database(engine, lambda heads: None)
    engine.dispose()


def watched(database: Database, count: int) -> list[Entry]:
    """What a watcher sees, page by page from where it is, until that many came."""
    seen: list[Entry] = []
    deadline = time.monotonic() + SECONDS
    while len(seen) < count:
        assert time.monotonic() < deadline, f"only {len(seen)} of {count} came"
        with database.reading() as tx:
            seen += timeline.arrived(tx, ALL, seen[-1].position if seen else 0, 7)
    return seen


def test_sixteen_writers_in_two_processes_leave_a_watcher_no_gap(
    place: str, database: Database
) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.conformance.writing", place, str(THREADS), str(CHANGES)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(PROCESSES)
    ]
    try:
        seen = watched(database, PROCESSES * THREADS * CHANGES)
    finally:
        ended = [(writer.communicate()[1], writer.returncode) for writer in writers]
    assert ended == [("", 0)] * PROCESSES
    expected = list(range(1, PROCESSES * THREADS * CHANGES + 1))
    assert [entry.position for entry in seen] == expected
    assert [entry.revision for entry in seen] == expected
    for writer in range(THREADS):
        of_it = [e.reference for e in seen if e.actor == f"user:w{writer}"]
        assert sorted(of_it) == sorted([f"user:w{writer}-{n}" for n in range(CHANGES)] * PROCESSES)
