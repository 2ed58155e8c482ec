"""PostgreSQL: how it is reached, what orders its writers, and how commits are told to replicas."""

import hashlib
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.string import StrDumper
from sqlalchemy import URL, Connection, Engine, create_engine, event, text

from control_plane.notices import Heads
from control_plane.settings import SettingsInvalid
from mesh.errors import ControlUnavailable

NAME = "postgresql"
_CHANNEL = "mesh_heads"
_POOL = 10
_POOL_SECONDS = 10
# A replica that froze or vanished in a transaction holds the writers' lock no longer than this.
_LOCK_SECONDS = 10
_IDLE_SECONDS = 30
_DEFAULTS = {
    "connect_timeout": "5",
    "application_name": "meshwarden",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "20000",
}
# Admin shutdown, crash, starting up, too many clients, idle too long, a standby; and what a
# concurrent transaction causes: serialization, deadlock, a lock that was not free in time.
_PASSING_STATES = frozenset(
    {"57P01", "57P02", "57P03", "53300", "25P03", "25006", "40001", "40P01", "55P03"}
)


class _Text(StrDumper):
    """A parameter: NUL, which PostgreSQL can't hold, becomes U+FFFD."""

    def dump(self, obj: str) -> Any:
        return super().dump(without_nul(obj) if "\0" in obj else obj)


def without_nul(text: str) -> str:
    """Text as PostgreSQL can hold it."""
    return text.replace("\0", "\ufffd")


def open_postgres(url: str) -> Engine:
    """An engine on a PostgreSQL database; it connects at the first use.

    Raises SettingsInvalid for a URL that is none.
    """
    parameters = connection_parameters(url)
    engine = create_engine(
        URL.create("postgresql+psycopg", database=parameters.get("dbname")),
        connect_args=parameters,
        pool_size=_POOL,
        max_overflow=_POOL,
        pool_timeout=_POOL_SECONDS,
        pool_pre_ping=True,
        pool_recycle=1800,
        use_native_hstore=False,
    )

    @event.listens_for(engine, "connect")
    def configure(connection: Any, record: object) -> None:
        connection.adapters.register_dumper(str, _Text)
        connection.execute(f"SET lock_timeout = '{_LOCK_SECONDS}s'")
        connection.execute(f"SET idle_in_transaction_session_timeout = '{_IDLE_SECONDS}s'")
        connection.commit()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # One writer at a time, in every replica: each sees all that was committed before it,
        # and revisions are committed in their order.
        if connection.get_execution_options().get("mesh_writes", False):
            _lock(connection, "writer")

    return engine


def connection_parameters(url: str) -> dict[str, str]:
    """What libpq makes of a URL, with our defaults. Raises SettingsInvalid without the URL."""
    if not url.startswith(("postgresql://", "postgres://")):
        raise SettingsInvalid(f"database is {_ALLOWED}")
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        # libpq's message may quote a part of the password.
        raise SettingsInvalid(
            f"database is no URL that PostgreSQL's client library understands; it is {_ALLOWED}"
        ) from None
    parameters = {key: str(value) for key, value in given.items() if value is not None}
    if not all(port.isdecimal() for port in parameters.get("port", "0").split(",")):
        # Where the host was forgotten, it may be the password.
        raise SettingsInvalid(f"the database's port is no number; database is {_ALLOWED}")
    return {**_DEFAULTS, **parameters}


_ALLOWED = (
    "postgresql://USER@HOST:PORT/NAME, with PostgreSQL's own parameters after ?, such as"
    " sslmode=verify-full; or nothing, for a SQLite file in the state folder"
)


def begin_migration(connection: Connection) -> None:
    """Wait until no other replica migrates. Raises SettingsInvalid for another encoding."""
    encoding = connection.execute(text("SHOW server_encoding")).scalar_one()
    if encoding != "UTF8":
        raise SettingsInvalid(f"the database's encoding is {encoding}; create it with UTF8")
    connection.execute(text("SET LOCAL lock_timeout = '60s'"))
    _lock(connection, "migration")


def announce(connection: Connection, heads: Heads) -> None:
    """Tell every replica, at the commit of the connection's transaction."""
    connection.exec_driver_sql(
        "SELECT pg_notify(%s, %s)", (_CHANNEL, f"{heads.revision} {heads.position}")
    )


async def listen(url: str, heard: Callable[[Heads], None]) -> None:
    """Hear what any replica announces. Raises ControlUnavailable when the connection is lost."""
    parameters: dict[str, Any] = dict(connection_parameters(url))
    try:
        connection = await psycopg.AsyncConnection.connect(autocommit=True, **parameters)
        async with connection:
            await connection.execute(f"LISTEN {_CHANNEL}")
            async for notice in connection.notifies():
                revision, _, position = notice.payload.partition(" ")
                heard(Heads(int(revision), int(position)))
    except psycopg.OperationalError as error:
        raise ControlUnavailable(
            f"what other replicas change is noticed late: {one_line(error)}", server=""
        ) from error


def is_passing(error: BaseException | None) -> bool:
    """Whether the same transaction may succeed when it is tried again."""
    if not isinstance(error, psycopg.Error):
        return False
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError)
    return error.sqlstate in _PASSING_STATES or error.sqlstate.startswith("08")


def one_line(error: BaseException | None) -> str:
    """What the database said."""
    return " ".join(str(error).split())


def _lock(connection: Connection, name: str) -> None:
    """Hold one of our locks until the transaction ends."""
    digest = hashlib.sha256(f"meshwarden {name}".encode()).digest()
    key = int.from_bytes(digest[:8], signed=True)
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (key,))
