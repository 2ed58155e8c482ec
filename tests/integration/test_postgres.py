"""PostgreSQL that goes away: what is retried, what is told, and that nothing is half done."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import Engine, event, text
from sqlmodel import Session

from control_plane.database import Database, TransactionInterrupted, migrate
from control_plane.notices import Heads
from control_plane.postgres import open_postgres
from control_plane.purposes import store as purposes
from control_plane.purposes.rules import Purpose
from control_plane.settings import SettingsInvalid
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from examples.airline.postgres import Postgres
from mesh.errors import ControlUnavailable
from mesh.v1 import purposes_pb2, status_pb2
from tests.unit.control_plane.running import error_of, eventually, running

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
CHANGE = Change("purpose.added", "user:ana", NOW, "p1", "a purpose", distributed=True)


@pytest.fixture
def engine(migrated_postgres: str) -> Iterator[Engine]:
    engine = open_postgres(migrated_postgres)
    yield engine
    engine.dispose()


@pytest.fixture
def heads() -> list[Heads]:
    return []


@pytest.fixture
def database(engine: Engine, heads: list[Heads]) -> Database:
    return Database(engine, heads.append)


@pytest.fixture
def end_connection(migrated_postgres: str) -> Callable[[Session], None]:
    """Ends the connection of a transaction, as a restart of the server would."""

    def end(tx: Session) -> None:
        pid = tx.connection().execute(text("SELECT pg_backend_pid()")).scalar_one()
        with psycopg.connect(migrated_postgres, autocommit=True) as other:
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))

    return end


def test_a_connection_lost_in_a_body_leaves_nothing_and_the_next_works(
    database: Database, heads: list[Heads], end_connection: Callable[[Session], None]
) -> None:
    for transaction in (database.writing, database.reading):
        with (
            pytest.raises(TransactionInterrupted, match="nothing was changed"),
            transaction() as tx,
        ):
            if transaction == database.writing:
                timeline.record_change(tx, CHANGE)
            end_connection(tx)
            timeline.heads(tx)
    assert heads == []
    with database.writing() as tx:
        assert timeline.record_change(tx, CHANGE) == 1
    assert heads == [Heads(1, 1)]


def test_a_connection_that_died_idle_is_replaced_unseen(
    database: Database, end_connection: Callable[[Session], None]
) -> None:
    with database.reading() as tx:
        end_connection(tx)
        with pytest.raises(TransactionInterrupted), database.reading() as other:
            end_connection(other)
            timeline.heads(other)
        tx.invalidate()
    with database.writing() as tx:
        assert timeline.record_change(tx, CHANGE) == 1


def test_a_connection_lost_in_the_commit_is_told_as_open(
    database: Database, heads: list[Heads], end_connection: Callable[[Session], None]
) -> None:
    with (
        pytest.raises(ControlUnavailable, match="in force or not") as lost,
        database.writing() as tx,
    ):
        timeline.record_change(tx, CHANGE)
        event.listen(tx, "before_commit", end_connection, once=True)
    assert not isinstance(lost.value, TransactionInterrupted)
    assert heads == []


def test_a_writer_that_holds_the_lock_too_long_is_told_and_not_waited_for(
    engine: Engine, migrated_postgres: str
) -> None:
    @event.listens_for(engine, "connect")
    def hurry(connection: psycopg.Connection[object], record: object) -> None:
        connection.execute("SET lock_timeout = '200ms'")
        connection.commit()

    other = open_postgres(migrated_postgres)
    with Database(other, lambda heads: None).writing() as tx:
        timeline.record_change(tx, CHANGE)
        with (
            pytest.raises(TransactionInterrupted, match="lock timeout"),
            Database(engine, lambda heads: None).writing(),
        ):
            raise AssertionError("two writers at the same time")
    other.dispose()


def test_a_reader_can_not_write(database: Database) -> None:
    with (
        pytest.raises(TransactionInterrupted, match="read-only"),
        database.reading() as tx,
    ):
        purposes.add(tx, Purpose("p1", "t", "user:ana", NOW, 1))


def test_two_replicas_that_start_together_migrate_once(empty_postgres: str) -> None:
    failed: list[BaseException] = []

    def start() -> None:
        engine = open_postgres(empty_postgres)
        try:
            migrate(engine)
        except BaseException as error:  # noqa: BLE001 - the test tells
            failed.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_server_that_is_not_there_is_told_without_the_password() -> None:
    engine = open_postgres("postgresql://mesh:hunter2@127.0.0.1:1/mesh")
    with pytest.raises(SettingsInvalid, match=r"127\.0\.0\.1") as refused:
        migrate(engine)
    assert "hunter2" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_database_of_another_encoding_is_refused(postgres_server: Postgres) -> None:
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING 'LATIN1' LOCALE 'C'")
    engine = open_postgres(postgres_server.url("latin"))
    with pytest.raises(SettingsInvalid, match="UTF8"):
        migrate(engine)
    engine.dispose()
    postgres_server.drop("latin")


def test_a_restart_is_not_noticed_and_a_longer_absence_is_told(tmp_path: Path) -> None:
    with Postgres() as server, running(tmp_path / "state", database=server.url()) as plane:
        admin = plane.admin

        def add(number: int) -> purposes_pb2.AddPurposeResponse:
            request = purposes_pb2.AddPurposeRequest(id=f"p-{number}", title="a purpose")
            return admin.purposes.AddPurpose(request)

        assert add(1).created
        server.kill()
        server.start()
        assert add(2).created
        server.stop()
        error = error_of(lambda: add(3))
        assert isinstance(error, ControlUnavailable)
        assert str(server.folder) in error.message
        server.start()
        eventually(lambda: _answers(lambda: add(3)))
        began = time.monotonic()
        assert admin.status.GetStatus(status_pb2.GetStatusRequest()).revision >= 3
        assert time.monotonic() - began < 5


def _answers(call: Callable[[], object]) -> bool:
    try:
        call()
    except Exception:  # noqa: BLE001 - asked again
        return False
    return True
