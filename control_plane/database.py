"""The database: transactions, instants, and migrations at start."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import BigInteger, Connection, Engine, TypeDecorator, event
from sqlalchemy.exc import DatabaseError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlmodel import Session, create_engine

from control_plane import postgres
from control_plane.notices import Heads
from control_plane.settings import SettingsInvalid
from mesh.errors import ControlUnavailable

Transaction: TypeAlias = Session

# Under this key of `Transaction.info` is where the transaction brings the mesh.
HEADS = "heads"
_BUSY_SECONDS = 10
_MIGRATIONS = Path(__file__).parent / "migrations"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Instant(TypeDecorator[datetime]):
    """An instant as microseconds since 1970, in UTC: exact and ordered in every database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: object) -> int | None:
        """Microseconds since 1970."""
        return None if value is None else (value - _EPOCH) // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: object) -> datetime | None:
        """The instant, in UTC."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class TransactionInterrupted(ControlUnavailable):
    """A transaction left nothing behind, and may succeed when it is tried again."""


class Database:
    """Hands out transactions, and tells `committed` after each one that moved the heads."""

    def __init__(self, engine: Engine, committed: Callable[[Heads], None]) -> None:
        self._engine = engine
        self._announces = engine.dialect.name == postgres.NAME
        self._reads = (
            engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            if self._announces
            else engine
        )
        self._writes = engine.execution_options(mesh_writes=True)
        self._committed = committed
        self._unscrubbed = False
        # Within one process a lock is fairer and cheaper than waiting in the database.
        self._writer = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that sees one state of the database and writes nothing.

        Raises TransactionInterrupted when the database is lost meanwhile.
        """
        with _interruption_told(), Session(self._reads, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction that commits as a whole, or not at all when its body raises.

        One writes at a time, in all replicas. Raises TransactionInterrupted when nothing was
        committed, ControlUnavailable when the database was lost in the commit itself.
        """
        with (
            self._writer,
            _interruption_told(),
            Session(self._writes, expire_on_commit=False) as session,
        ):
            session.connection()
            yield session
            session.flush()
            heads: Heads | None = session.info.get(HEADS)
            if heads is not None and self._announces:
                postgres.announce(session.connection(), heads)
            _commit(session)
        if heads is not None:
            self._committed(heads)

    def scrub_soon(self) -> None:
        """Let `scrub` do its work at its next turn; call it after the commit of a deletion."""
        self._unscrubbed = True

    def scrub(self) -> None:
        """Let nothing of deleted rows stay in the database's own files, as far as it can; if asked.

        On SQLite that is the write-ahead log, which has to wait for whoever reads an older state;
        on PostgreSQL dead rows are vacuumed, so that their space is written over. Backups and
        archived logs are the operator's. No writer waits for it.
        """
        if not self._unscrubbed:
            return
        self._unscrubbed, whole = False, False
        try:
            whole = self._scrubbed()
        finally:
            # Set, and never cleared here: somebody may have asked anew meanwhile.
            if not whole:
                self._unscrubbed = True

    def _scrubbed(self) -> bool:
        """Scrub; False when something is left because of who reads an older state."""
        if self._announces:
            outside = self._engine.execution_options(isolation_level="AUTOCOMMIT")
            with outside.connect() as connection:
                connection.exec_driver_sql("VACUUM")
            return True
        with closing(self._engine.raw_connection()) as connection:
            cursor = connection.cursor()
            cursor.execute("PRAGMA busy_timeout = 0")
            try:
                busy, *_ = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            finally:
                cursor.execute(f"PRAGMA busy_timeout = {_BUSY_SECONDS * 1000}")
        return not busy


def open_database(file: Path, url: str | None) -> Engine:
    """An engine on the PostgreSQL database of a URL, on the SQLite file where there is none."""
    return open_sqlite(file) if url is None else postgres.open_postgres(url)


def open_sqlite(path: Path) -> Engine:
    """An engine on a SQLite file, durable at each commit."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False, "timeout": _BUSY_SECONDS},
        pool_size=16,
        max_overflow=16,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        # The driver must not begin transactions by itself: `begin` below says which kind.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "foreign_keys=ON",
            "synchronous=FULL",
            # What is deleted is overwritten: an erasure leaves no name in free pages.
            "secure_delete=ON",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        immediate = connection.get_execution_options().get("mesh_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if immediate else "BEGIN")

    return engine


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema up to a migration. Raises SettingsInvalid for an unknown state of it."""
    config = migration_config()
    try:
        with engine.connect() as connection:
            if engine.dialect.name == postgres.NAME:
                postgres.begin_migration(connection)
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
    except CommandError as error:
        raise SettingsInvalid(
            f"the database {engine.url.database} can't be brought up to date: {error};"
            " it may be of a newer version of the program"
        ) from error
    except DatabaseError as error:
        raise SettingsInvalid(
            f"the database {engine.url.database} can't be used: {postgres.one_line(error.orig)}"
        ) from error


def migration_config() -> Config:
    """Where Alembic finds the migrations; it needs the attribute `connection`."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


@contextmanager
def _interruption_told() -> Iterator[None]:
    try:
        yield
    except PoolTimeout as error:
        raise TransactionInterrupted(
            "every connection to the database is busy; try again", server=""
        ) from error
    except DBAPIError as error:
        if not _is_passing(error):
            raise
        raise TransactionInterrupted(
            "the database interrupted, and nothing was changed; try again:"
            f" {postgres.one_line(error.orig)}",
            server="",
        ) from error


def _commit(session: Session) -> None:
    try:
        session.commit()
    except DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise ControlUnavailable(
            "the database was lost while it committed a change, which is in force or not: look,"
            " or send the same request again",
            server="",
        ) from error


def _is_passing(error: DBAPIError) -> bool:
    if isinstance(error.orig, sqlite3.OperationalError):
        return error.orig.sqlite_errorcode == sqlite3.SQLITE_BUSY
    return error.connection_invalidated or postgres.is_passing(error.orig)
