"""Every migration goes down and up with data in every table, on each database."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.script import ScriptDirectory
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Engine,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    insert,
    inspect,
    select,
)
from sqlmodel import AutoString, SQLModel

import control_plane.app  # noqa: F401 - so that every store has declared its tables
from control_plane.database import Instant, migrate, migration_config, open_database

ROWS = 3
Rows = dict[str, list[dict[str, Any]]]
REVISIONS = [
    revision.revision
    for revision in reversed(list(ScriptDirectory.from_config(migration_config()).walk_revisions()))
]


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    url = request.getfixturevalue("empty_postgres") if request.param == "postgres" else None
    engine = open_database(tmp_path / "control.db", url)
    yield engine
    engine.dispose()


def value(column: Column[Any], row: int) -> object:
    """Something that the column can hold; every third row is empty where it may be."""
    if column.nullable and row == ROWS - 1:
        return None
    if str(column) == "policy_activation.layer":
        return "library"  # Older programs know no other, and going back to them drops the rest.
    for key in column.foreign_keys:
        return value(key.column, row)
    made: dict[type, object] = {
        Instant: datetime(2026, 11, 24, 12, 0, row, 123_456, tzinfo=UTC),
        Boolean: row % 2 == 0,
        BigInteger: 2**40 + row,
        Integer: row,
        LargeBinary: b"\x00\xff" + bytes([row]),
        JSON: ["ü", {"a": [None, row]}],
        AutoString: f"{column.name} ü {row}",
    }
    return next(found for kind, found in made.items() if isinstance(column.type, kind))


def fill(engine: Engine) -> None:
    """Put rows into every table that the migrations left empty."""
    with engine.begin() as connection:
        for table in SQLModel.metadata.sorted_tables:
            if connection.execute(select(table)).first() is not None:
                continue
            rows = [{c.name: value(c, row) for c in table.columns} for row in range(ROWS)]
            connection.execute(insert(table), rows)


def content(engine: Engine) -> Rows:
    """Everything that the database holds, as it is declared there."""
    found: Rows = {}
    with engine.connect() as connection:
        for name in inspect(connection).get_table_names():
            if name == "alembic_version":
                continue
            table = Table(name, MetaData(), autoload_with=connection)
            rows = connection.execute(select(table).order_by(*table.primary_key)).mappings()
            found[name] = [dict(row) for row in rows]
    return found


def go(engine: Engine, revision: str, down: bool = False) -> None:
    config = migration_config()
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        (command.downgrade if down else command.upgrade)(config, revision)
        connection.commit()


def common(old: Rows, new: Rows) -> tuple[Rows, Rows]:
    """Both, without what only one of them has a table or column for."""
    kept = [
        {
            table: [
                {key: row[key] for key in row if key in old[table][0] and key in new[table][0]}
                for row in rows
            ]
            for table, rows in one.items()
            if table in old and table in new
        }
        for one in (old, new)
    ]
    return kept[0], kept[1]


def test_data_survives_each_step_down_and_the_way_up_again(engine: Engine) -> None:
    migrate(engine)
    fill(engine)
    before = whole = content(engine)
    assert all(whole.values())
    for revision in reversed(REVISIONS[:-1]):
        go(engine, revision, down=True)
        after = content(engine)
        old, new = common(before, after)
        assert set(new) == set(after)
        assert old == new
        before = after
    for revision in REVISIONS[1:]:
        go(engine, revision)
        after = content(engine)
        old, new = common(before, after)
        assert set(new) == set(before)
        assert old == new
        before = after
    assert set(before) == set(whole)


def test_each_revision_is_reached_from_nothing_and_left_for_nothing(engine: Engine) -> None:
    for revision in REVISIONS:
        go(engine, revision)
        assert "counter" in content(engine)
        go(engine, "base", down=True)
        assert content(engine) == {}
