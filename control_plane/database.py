"""The database: transactions, instants, and migrations at start."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import BigInteger, Connection, Engine, TypeDecorator, event
from sqlalchemy.exc import DatabaseError
from sqlmodel import Session, create_engine

from control_plane.notices import Heads
from control_plane.settings import SettingsInvalid

Transaction: TypeAlias = Session

# Under this key of `Transaction.info` is where the transaction brings the mesh.
HEADS = "heads"
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


class Database:
    """Hands out transactions, and tells `committed` after each one that moved the heads."""

    def __init__(self, engine: Engine, committed: Callable[[Heads], None]) -> None:
        self._engine = engine
        self._committed = committed
        # Within one process a lock is fairer and cheaper than the database's busy wait.
        self._writer = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[Transaction]:
        """A transaction that sees one state of the database and writes nothing."""
        with Session(self._engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def writing(self) -> Iterator[Transaction]:
        """A transaction that commits as a whole, or not at all when its body raises."""
        with self._writer, Session(self._engine, expire_on_commit=False) as session:
            _begin_write(session)
            yield session
            session.commit()
            heads = session.info.get(HEADS)
        if heads is not None:
            self._committed(heads)


def open_sqlite(path: Path) -> Engine:
    """An engine on a SQLite file, durable at each commit."""
    engine = create_engine(
        f"sqlite:///{path}",
        connect_args={"check_same_thread": False, "timeout": 10},
        pool_size=16,
        max_overflow=16,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        # The driver must not begin transactions by itself: `begin` below says which kind.
        connection.isolation_level = None
        for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
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
            f"the database {engine.url.database} can't be used: {error.orig}"
        ) from error


def migration_config() -> Config:
    """Where Alembic finds the migrations; it needs the attribute `connection`."""
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _begin_write(session: Session) -> None:
    session.connection(execution_options={"mesh_writes": True})
