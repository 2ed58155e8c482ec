"""Many rows at once, as fast as each database takes them; rows that are loaded don't change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Self

import psycopg
from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    String,
    Table,
    any_,
    bindparam,
    insert,
    literal,
    update,
)
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel

from control_plane import postgres
from control_plane.database import Transaction

Rows = Sequence[Mapping[str, Any]]
# How PostgreSQL is told the types of our columns.
_SENT_AS = {
    "BIGINT": "int8",
    "BOOLEAN": "bool",
    "BYTEA": "bytea",
    "INTEGER": "int4",
    "JSON": "json",
    "VARCHAR": "text",
}


def insert_rows(tx: Transaction, kind: type[SQLModel], rows: Rows) -> None:
    """Insert rows, all of the same columns."""
    if not rows:
        return
    connection, table = tx.connection(), _table(kind)
    if not _is_postgres(connection):
        connection.execute(insert(table), list(rows))
        return
    given = _Given.of(connection, table, rows)
    statement = f'COPY "{table.name}" ({given.names}) FROM STDIN (FORMAT BINARY)'
    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(statement) as copy:
            copy.set_types(given.types)
            for row in zip(*given.values, strict=True):
                copy.write_row(row)
    except psycopg.Error as error:
        # As a statement would raise it that SQLAlchemy sends itself.
        raise DBAPIError(statement, None, error) from error


def insert_missing_rows(tx: Transaction, kind: type[SQLModel], rows: Rows) -> None:
    """Insert those rows whose key is not there yet; all are of the same columns."""
    if not rows:
        return
    connection, table = tx.connection(), _table(kind)
    if not _is_postgres(connection):
        connection.execute(sqlite_insert(table).on_conflict_do_nothing(), list(rows))
        return
    given = _Given.of(connection, table, rows)
    statement = (
        f'INSERT INTO "{table.name}" ({given.names})'  # noqa: S608 - the names are ours
        f" SELECT * FROM {given.source} ON CONFLICT DO NOTHING"
    )
    connection.exec_driver_sql(statement, given.values)


def update_rows(tx: Transaction, kind: type[SQLModel], keys: Sequence[str], rows: Rows) -> None:
    """Set what is given, each time in the rows that have the given `keys`, which none shares."""
    if not rows:
        return
    connection, table = tx.connection(), _table(kind)
    if not _is_postgres(connection):
        _update_one_by_one(connection, table, keys, rows)
        return
    given = _Given.of(connection, table, rows)
    sets = ", ".join(f'"{name}" = given."{name}"' for name in rows[0] if name not in keys)
    same = " AND ".join(f'"{table.name}"."{name}" = given."{name}"' for name in keys)
    statement = (
        f'UPDATE "{table.name}" SET {sets}'  # noqa: S608 - the names are ours
        f" FROM {given.source} WHERE {same}"
    )
    connection.exec_driver_sql(statement, given.values)


def among(tx: Transaction, column: Mapped[str], texts: Sequence[str]) -> ColumnElement[bool]:
    """Whether a column is one of many texts."""
    if _is_postgres(tx.connection()):
        return column == any_(literal(list(texts), ARRAY(String)))
    return column.in_(texts)


@dataclass(frozen=True, slots=True)
class _Given:
    """Rows by their columns: names, types, and values as PostgreSQL's driver takes them."""

    names: str
    types: tuple[str, ...]
    values: tuple[list[Any], ...]

    @classmethod
    def of(cls, connection: Connection, table: Table, rows: Rows) -> Self:
        """Rows of the same columns."""
        dialect = connection.dialect
        types, values = [], []
        for name in rows[0]:
            plain = table.c[name].type
            types.append(_SENT_AS[plain.compile(dialect=dialect)])
            process = plain.dialect_impl(dialect).bind_processor(dialect)
            given = list(map(itemgetter(name), rows))
            bound = given if process is None else list(map(process, given))
            values.append(_without_nul(bound) if types[-1] == "text" else bound)
        return cls(", ".join(f'"{name}"' for name in rows[0]), tuple(types), tuple(values))

    @property
    def source(self) -> str:
        """What the rows are selected from, their values being parameters."""
        arrays = ", ".join(f"%s::{kind}[]" for kind in self.types)
        return f"unnest({arrays}) AS given({self.names})"


def _without_nul(texts: list[str | None]) -> list[str | None]:
    """Rarely has any text a NUL, so they are looked through together."""
    if "\0" not in "".join(filter(None, texts)):
        return texts
    return [None if text is None else postgres.without_nul(text) for text in texts]


def _update_one_by_one(
    connection: Connection, table: Table, keys: Sequence[str], rows: Rows
) -> None:
    """A prefix tells what is compared from what is set."""
    prefixes = {name: "of_" if name in keys else "to_" for name in rows[0]}
    statement = update(table).where(*(table.c[name] == bindparam(f"of_{name}") for name in keys))
    statement = statement.values(
        {name: bindparam(f"to_{name}") for name in rows[0] if name not in keys}
    )
    connection.execute(
        statement,
        [{prefixes[name] + name: value for name, value in row.items()} for row in rows],
    )


def _is_postgres(connection: Connection) -> bool:
    return connection.dialect.name == postgres.NAME


def _table(kind: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(kind.__tablename__)]
