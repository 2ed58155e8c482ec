"""R7 and R12: the control plane or its database ends amid calls; each has its effect once."""

import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from signal import SIGQUIT

import psycopg
import pytest
from sqlalchemy import Engine

from control_plane.database import open_database
from examples.airline.postgres import Postgres
from examples.airline.processes import Mesh
from tests.e2e.town import wait_until
from tests.faults.arrived import in_database
from tests.faults.calling import (
    DOMAIN,
    PURPOSE,
    Appender,
    Caller,
    add_purpose,
    appending,
    called,
    issue,
    publish,
)
from tests.faults.clients import Clients, Watcher
from tests.faults.tally import Scale, Trial

KILLED = "control plane killed: for longer than a short lease, agent too or not; amid appends"
INTERRUPTED = "PostgreSQL restarted at once, or backends terminated, amid calls and appends"
AGENTS = ("fleet-1", "fleet-2", "fleet-3")
Opened = Callable[[str, str], Trial]


@contextmanager
def serving(folder: Path, database: str) -> Iterator[Mesh]:
    """A control plane alone, on a database of its own."""
    with Mesh(folder, database=database) as mesh:
        mesh.start_control_plane()
        yield mesh


@contextmanager
def opened(mesh: Mesh) -> Iterator[Engine]:
    """The control plane's database, as it lies there."""
    found = open_database(mesh.folder / "control-plane" / "control.db", mesh.database or None)
    try:
        yield found
    finally:
        found.dispose()


def check_appended(engine: Engine, appenders: Sequence[Appender]) -> int:
    """Each agent's events are stored, all that were acknowledged, as they were; how many."""
    total = 0
    for one in appenders:
        size, root = one.head()
        in_database(engine, DOMAIN, one.agent).check(size, root, one.agent)
        total += size
    with engine.connect() as connection:
        receipts = connection.exec_driver_sql("SELECT count(*) FROM receipt").scalar_one()
    assert receipts == total
    return total


def test_what_a_killed_control_plane_acknowledged_is_stored_once(
    tmp_path: Path, scale: Scale, trial: Opened, request: pytest.FixtureRequest
) -> None:
    row = trial("R7", KILLED)
    _kill_amid_appends(tmp_path / "sqlite", "", scale.of(30, 1), row)
    if scale.full:
        url = str(request.getfixturevalue("empty_postgres"))
        _kill_amid_appends(tmp_path / "postgres", url, 30, row)


def _kill_amid_appends(folder: Path, database: str, times: int, row: Trial) -> None:
    rng = random.Random(7)  # noqa: S311 - a seeded series
    folder.mkdir()
    with (
        serving(folder, database) as mesh,
        opened(mesh) as engine,
        called(mesh.server, mesh.admin) as admin,
    ):
        address = mesh.server
        with appending(admin, address, AGENTS, 40) as appenders:
            for _ in range(times):
                _await_more(appenders)
                time.sleep(rng.random() * 0.2)
                assert mesh.control is not None
                mesh.control.process.kill()
                known = [one.acknowledged for one in appenders]
                mesh.control.stop()
                _check_kept(engine, appenders, known)
                mesh.start_control_plane(address)
                row.tried += 1
            _await_more(appenders)
        row.count("events appended in bursts around kills", check_appended(engine, appenders))
        row.count("calls repeated", sum(one.again for one in appenders))
        row.count("acknowledged and lost, or stored twice", 0)


def _await_more(appenders: Sequence[Appender]) -> None:
    before = [one.acknowledged for one in appenders]

    def beyond() -> bool:
        return all(one.acknowledged > old for one, old in zip(appenders, before, strict=True))

    wait_until(beyond, "all append", 60.0)


def _check_kept(engine: Engine, appenders: Sequence[Appender], known: Sequence[int]) -> None:
    """At least what was acknowledged by then is in the database of a dead control plane."""
    for one, acknowledged in zip(appenders, known, strict=True):
        query = f"SELECT count(*) FROM usage_event WHERE agent = '{one.agent}'"
        with engine.connect() as connection:
            stored = connection.exec_driver_sql(query).scalar_one()
        assert stored >= acknowledged, f"{one.agent}: {acknowledged} acknowledged, {stored} kept"


class Interruptions:
    """What happens to a database, by chance."""

    def __init__(self, server: Postgres, rng: random.Random, row: Trial) -> None:
        self._server, self._rng, self._row = server, rng, row

    def interrupt(self) -> None:
        """Mostly end some backends, sometimes all of the server."""
        if self._rng.random() < 0.15:
            self._restart()
        else:
            self._terminate()
        self._row.tried += 1

    def _restart(self) -> None:
        """As `pg_ctl restart -m immediate`: no checkpoint, every connection cut, recovery."""
        assert self._server.process is not None
        self._server.process.send_signal(SIGQUIT)
        self._server.process.wait()
        self._server.start()
        self._row.count("immediate restarts")

    def _terminate(self) -> None:
        chosen = self._rng.choice(("true", "random() < 0.5", "state <> 'idle'"))
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            f" WHERE application_name = 'meshwarden' AND {chosen}"
        )
        with closing(psycopg.connect(self._server.url(), autocommit=True)) as connection:
            found = connection.execute(query).fetchone()
        assert found is not None
        self._row.count("backends terminated", found[0])


def test_each_call_has_its_effect_once_whatever_becomes_of_the_database(
    tmp_path: Path, scale: Scale, trial: Opened
) -> None:
    row, rng = trial("R12", INTERRUPTED), random.Random(12)  # noqa: S311 - a seeded series
    with ExitStack() as stack:
        server = stack.enter_context(Postgres({"max_connections": "200"}))
        mesh = stack.enter_context(serving(tmp_path, server.url(server.create())))
        admin = stack.enter_context(called(mesh.server, mesh.admin))
        clients = _clients(mesh, admin)
        interruptions = Interruptions(server, rng, row)
        with Watcher(mesh.server, mesh.admin) as watcher:
            with clients.working(), appending(admin, mesh.server, AGENTS, 20) as appenders:
                for _ in range(scale.of(200, 8)):
                    time.sleep(rng.random() * 0.5)
                    interruptions.interrupt()
            with opened(mesh) as engine:
                row.count("events appended", check_appended(engine, appenders))
                last = _check_effects(engine, clients)
            wait_until(
                lambda: bool(watcher.changes()) and watcher.changes()[-1].revision >= last,
                "the watcher has seen all",
                60.0,
            )
        seen = [one.revision for one in watcher.changes()]
        assert seen == list(range(1, last + 1))
    row.count("calls answered", len(clients.purposes) + len(clients.versions))
    row.count("agreements requested and approved", len(clients.agreements))
    row.count("calls repeated", clients.again + sum(one.again for one in appenders))
    row.count("losses of the watcher, who missed nothing", watcher.losses)
    row.count("effects missing or twice", 0)


def _clients(mesh: Mesh, admin: Caller) -> Clients:
    ana, olga = issue(admin, "ana"), issue(admin, "olga", (f"owner:{DOMAIN}",))
    add_purpose(admin, PURPOSE)
    publish(admin, "1.0.0")
    return Clients(mesh.server, mesh.admin, ana, olga)


def _check_effects(engine: Engine, clients: Clients) -> int:
    """Every answered call is in the timeline exactly once; the last revision."""
    query = "SELECT action, reference, revision FROM entry WHERE kind = 'change' ORDER BY revision"
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(query).all()
    assert [row[2] for row in rows] == list(range(1, len(rows) + 1))
    found = Counter((row[0], row[1]) for row in rows)
    expected = [
        *(("purpose.added", name) for name in clients.purposes),
        *(("contract.published", f"{DOMAIN}.reservations/{one}") for one in clients.versions),
        *(("agreement.requested", one) for one in clients.agreements),
        *(("agreement.approved", one) for one in clients.agreements),
    ]
    wrong = {one: found[one] for one in expected if found[one] != 1}
    assert not wrong, wrong
    twice = {one: count for one, count in found.items() if count > 1 and one[0] != "token.issued"}
    assert not twice, twice
    agreements = sum(count for one, count in found.items() if one[0] == "agreement.requested")
    assert agreements == len(clients.agreements)
    return len(rows)
