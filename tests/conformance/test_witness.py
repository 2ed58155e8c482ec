"""The witness on both databases: logs grow, checkpoints are kept and compared, forks are told."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, text

from control_plane.audit import checkpoint_store, tree_store
from control_plane.audit import store as audit
from control_plane.audit.heads import Standing
from control_plane.audit.tiles import WIDTH
from control_plane.audit.witnessing import grow, witness
from control_plane.database import Database, migrate, migration_config, open_sqlite
from control_plane.postgres import open_postgres
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Entry, Sight, Wanted
from mesh.errors import EvidenceInvalid
from mesh.evidence.codec import Recorded, decode_event
from mesh.evidence.merkle import frontier_at, inclusion_path, root_of_inclusion
from tests.unit.evidence.logs import BASE, Log, log

NAME = ("bookings", "bookings-1")
LOG = log("bookings/bookings-1", 600)
FORK = log("bookings/bookings-1", 600, " of the other story")
ALL = Sight(everything=True, domains=frozenset(), actor="")


def store(database: Database, one: Log, after: int, until: int, now: datetime = BASE) -> None:
    """Store a stretch of a log."""
    events = [Recorded(decode_event(record), record) for record in one.records[after:until]]
    with database.writing() as tx:
        audit.add_events(tx, *NAME, events, now)
        grow(tx, *NAME, events, now)


def sign(database: Database, one: Log, *sizes: int, now: datetime = BASE) -> None:
    for size in sizes:
        with database.writing() as tx:
            witness(tx, *NAME, one.note(size), LOG.public_key, now)


def stored(database: Database) -> tree_store.StoredLog:
    with database.reading() as tx:
        return tree_store.find(tx, *NAME)


def forks(database: Database) -> list[Entry]:
    with database.reading() as tx:
        entries = timeline.newest(tx, ALL, Wanted(), None, 100)
    return [entry for entry in entries if entry.action == "evidence.forked"]


def kept(database: Database, standing: Standing) -> list[int]:
    with database.reading() as tx:
        rows = {
            Standing.FITS: lambda: checkpoint_store.fitting(tx, *NAME, 0, 10_000),
            Standing.PENDING: lambda: checkpoint_store.pending(tx, *NAME, 0, 10_000),
            Standing.FORKED: lambda: checkpoint_store.forked(tx, *NAME, 10_000),
        }[standing]()
    return [row.size for row in rows]


class WitnessContract:
    """The promises; a subclass says how a database is made."""

    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        """An engine on an empty database."""
        raise NotImplementedError

    @pytest.fixture
    def database(self, engine: Engine) -> Database:
        migrate(engine)
        return Database(engine, lambda heads: None)

    def test_a_log_grows_in_batches_and_proves_each_record(self, database: Database) -> None:
        for after, until in ((0, 1), (1, 255), (255, 257), (257, 600)):
            store(database, LOG, after, until, BASE + timedelta(minutes=until))
        found = stored(database)
        assert found.frontier == LOG.frontier(600)
        assert found.arrival == BASE + timedelta(minutes=600)
        with database.reading() as tx:
            nodes = tree_store.nodes(tx, *NAME)
            assert frontier_at(nodes, 300) == LOG.frontier(300)
            for index, size in ((0, 600), (255, 256), (299, 600), (599, 600)):
                path = inclusion_path(nodes, index, size)
                root = root_of_inclusion(LOG.hashes[index], index, size, path)
                assert root == LOG.frontier(size).root
            assert tree_store.leaves(tx, *NAME, 250, 520) == LOG.hashes[250:520]
            assert tree_store.leaves(tx, *NAME, 599, 700) == LOG.hashes[599:]
            assert tree_store.leaves(tx, *NAME, 600, 700) == []

    def test_a_log_grows_and_is_witnessed_several_times_in_one_transaction(
        self, database: Database
    ) -> None:
        with database.writing() as tx:
            for after, until in ((0, 3), (3, 259), (259, 300)):
                records = LOG.records[after:until]
                events = [Recorded(decode_event(record), record) for record in records]
                grow(tx, *NAME, events, BASE)
                witness(tx, *NAME, LOG.note(until), LOG.public_key, BASE)
        found = stored(database)
        assert (found.frontier, found.verified_size) == (LOG.frontier(300), 300)

    def test_the_tiles_of_a_window_are_found(self, database: Database) -> None:
        for at in range(3):
            store(database, LOG, at * WIDTH, min((at + 1) * WIDTH, 600), BASE + timedelta(hours=at))

        def window(since: float | None, before: float | None) -> tuple[int, int] | None:
            start, end = (
                None if hours is None else BASE + timedelta(hours=hours)
                for hours in (since, before)
            )
            with database.reading() as tx:
                return tree_store.window(tx, *NAME, start, end)

        assert window(None, None) == (0, 2)
        assert window(0.5, None) == (1, 2)
        assert window(None, 1) == (0, 0)
        assert window(1, 1.5) == (1, 1)
        assert window(3, None) is None

    def test_a_checkpoint_of_what_is_stored_is_compared_at_once(self, database: Database) -> None:
        store(database, LOG, 0, 300)
        sign(database, LOG, 300, 120, 300)
        found = stored(database)
        assert (found.witnessed_size, found.verified_size, found.problem) == (300, 300, "")
        assert kept(database, Standing.FITS) == [120, 300]

    def test_a_checkpoint_waits_for_its_records(self, database: Database) -> None:
        sign(database, LOG, 0, 40, 90, 200)
        assert kept(database, Standing.PENDING) == [40, 90, 200]
        found = stored(database)
        assert (found.size, found.witnessed_size, found.verified_size) == (0, 200, 0)
        store(database, LOG, 0, 89)
        assert (kept(database, Standing.FITS), stored(database).verified_size) == ([40], 40)
        store(database, LOG, 89, 300)
        assert kept(database, Standing.PENDING) == []
        assert kept(database, Standing.FITS) == [40, 90, 200]
        assert stored(database).verified_size == 200
        assert forks(database) == []

    def test_a_fork_is_told_when_its_records_come(self, database: Database) -> None:
        sign(database, FORK, 90)
        store(database, LOG, 0, 100)
        found = stored(database)
        assert (found.size, found.verified_size) == (100, 0)
        assert "signed for 90 records that are not" in found.problem
        (entry,) = forks(database)
        assert (entry.actor, entry.reference) == ("agent:bookings/bookings-1", "/".join(NAME))
        assert entry.summary == found.problem
        assert kept(database, Standing.FORKED) == [90]

    def test_two_logs_of_one_size_are_a_fork_before_any_record_came(
        self, database: Database
    ) -> None:
        sign(database, LOG, 50)
        sign(database, FORK, 50)
        assert "two different logs of 50 records" in stored(database).problem
        with database.reading() as tx:
            roots = checkpoint_store.roots_at(tx, *NAME, 50)
        assert roots == {LOG.frontier(50).root, FORK.frontier(50).root}
        store(database, LOG, 0, 60)
        assert stored(database).verified_size == 0

    def test_a_size_that_goes_back_is_a_fork_only_with_another_root(
        self, database: Database
    ) -> None:
        store(database, LOG, 0, 100)
        sign(database, LOG, 100, 60)
        assert stored(database).problem == ""
        sign(database, FORK, 70)
        assert "signed for 70 records that are not" in stored(database).problem
        assert stored(database).verified_size == 100
        sign(database, FORK, 80, 90)
        assert len(forks(database)) == 1
        assert kept(database, Standing.FORKED) == [70, 80, 90]
        store(database, LOG, 100, 120)
        assert stored(database).size == 120

    def test_a_note_of_another_key_or_log_is_refused(self, database: Database) -> None:
        other = log("fleet/fleet-1", 5, seed=8)
        for note in (other.note(5), LOG.note(5)):
            with pytest.raises(EvidenceInvalid), database.writing() as tx:
                witness(tx, *NAME, note, other.public_key, BASE)
        assert stored(database).witnessed_size == 0

    def test_checkpoints_older_than_a_day_thin_out_to_one_an_hour(self, database: Database) -> None:
        store(database, LOG, 0, 600)
        for size in range(1, 181):
            sign(database, LOG, size, now=BASE + timedelta(minutes=size))
        sign(database, FORK, 100, now=BASE + timedelta(minutes=100))
        assert len(kept(database, Standing.FITS)) == 180
        sign(database, LOG, 200, now=BASE + timedelta(hours=26))
        sign(database, LOG, 201, now=BASE + timedelta(hours=26))
        assert kept(database, Standing.FITS) == [59, 119, *range(120, 181), 200, 201]
        sign(database, LOG, 202, now=BASE + timedelta(hours=29))
        assert kept(database, Standing.FITS) == [59, 119, 179, 180, 200, 201, 202]
        assert kept(database, Standing.FORKED) == [100]

    def test_a_tree_that_was_changed_from_outside_stops_nothing_and_is_told(
        self, database: Database, engine: Engine
    ) -> None:
        store(database, LOG, 0, 300)
        with engine.begin() as connection:
            connection.execute(text("DELETE FROM log_tile"))
        sign(database, LOG, 300)
        assert "can't be compared" in stored(database).problem
        with engine.begin() as connection:
            connection.execute(text("UPDATE log SET problem = ''"))
            connection.execute(text("DELETE FROM usage_event WHERE sequence > 290"))
        store(database, LOG, 290, 310)
        assert "changed from outside" in stored(database).problem

    def test_a_log_with_missing_records_is_stored_and_goes_on_unverified(
        self, database: Database
    ) -> None:
        store(database, LOG, 0, 10)
        sign(database, LOG, 10, 20)
        store(database, LOG, 12, 20)
        store(database, LOG, 20, 22)
        found = stored(database)
        assert (found.size, found.verified_size) == (10, 10)
        assert found.problem.startswith("records 11 to 12 are missing")
        assert forks(database) == []

    def test_a_migration_plants_the_trees_of_what_is_stored(
        self, engine: Engine, database: Database
    ) -> None:
        store(database, LOG, 0, 600)
        before = self._tables(engine)
        config = migration_config()
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.downgrade(config, "0004")
            connection.commit()
        migrate(engine)
        assert self._tables(engine) == before

    def test_when_a_record_was_stored_never_steps_back_along_a_log(
        self, database: Database
    ) -> None:
        hour = timedelta(hours=1)
        store(database, LOG, 0, 10, BASE + hour)
        store(database, LOG, 10, 20, BASE)
        store(database, LOG, 20, 30, BASE + 2 * hour)
        with database.reading() as tx:
            found = tx.connection().execute(
                text("SELECT stored FROM usage_event ORDER BY sequence")
            )
            times = [time for (time,) in found]
        assert times == sorted(times)
        assert len(set(times)) == 2

    def _tables(self, engine: Engine) -> list[tuple[object, ...]]:
        with engine.connect() as connection:
            return [
                tuple(row)
                for table in ("log", "log_tile", "log_checkpoint")
                for row in connection.execute(text(f"SELECT * FROM {table} ORDER BY 1, 2, 3, 4"))
            ]


class TestSqlite(WitnessContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = open_sqlite(tmp_path / "control.db")
        yield engine
        engine.dispose()


class TestPostgres(WitnessContract):
    @pytest.fixture
    def engine(self, empty_postgres: str) -> Iterator[Engine]:
        engine = open_postgres(empty_postgres)
        yield engine
        engine.dispose()
