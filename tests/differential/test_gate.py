"""What passes the gate means what was written, and sees what the governed views show.

The gate's text runs over views that mask and filter hidden tables; the caller's own text runs,
in another database, over tables that hold just what those views show. Both must answer alike.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import duckdb
import pytest
from hypothesis import given, settings

from domain_agent.enforcement.gate import confirm
from tests.differential.gate_questions import questions
from tests.unit.enforcement.gate.corpus import CATALOG, pass_gate, serialize, served, text_of

_HIDDEN = """
CREATE SCHEMA hidden;
CREATE TABLE hidden.flights AS SELECT
    i AS id,
    ['AA', 'UA', 'dl', NULL, 'it''s'][i % 5 + 1] AS carrier,
    DATE '2020-01-01' + (i % 4)::INT AS day,
    (i * 7) % 23 - 3 AS delay,
    ['x', 'y', carrier] AS tags,
    {'city': 'c' || i, 'zip': i} AS place
FROM range(12) r(i);
CREATE TABLE hidden.weather AS
    SELECT DATE '2020-01-01' + (i * 2)::INT AS day, i * 3 AS wind FROM range(3) r(i);
CREATE TABLE hidden.passengers AS
    SELECT i AS id, i % 6 AS flight, 'user' || i || '@ex.org' AS email, i % 2 AS region
    FROM range(9) r(i);
CREATE TABLE hidden.orders AS
    SELECT i AS id, i * 5 AS total, 'n' || i AS note FROM range(5) r(i);
"""
_VIEWS = {
    "ops.flights": "SELECT * FROM memory.hidden.flights WHERE delay < 19",
    "ops.weather": "SELECT * FROM memory.hidden.weather",
    "crm.passengers": "SELECT id, flight, left(email, 1) || '***' AS email "
    "FROM memory.hidden.passengers WHERE region = 1",
    "crm.orders": "SELECT id, NULL::BIGINT AS total FROM memory.hidden.orders",
    "archive.orders": "SELECT id - id % 2 AS id, total, '***' AS note FROM memory.hidden.orders",
}


_FULL_NAME = re.compile(r"\bair\.\w+\.(?=\w+\b)")


@dataclass(frozen=True, slots=True)
class Answer:
    """Rows as a bag, with the columns' names and types; None where the statement fails."""

    columns: tuple[tuple[str, str], ...]
    rows: Counter[str]


@pytest.fixture(scope="module")
def governed() -> Iterator[duckdb.DuckDBPyConnection]:
    """The catalog of views, as an agent serves it."""
    with _database() as connection:
        for name, body in _VIEWS.items():
            connection.execute(f"CREATE VIEW air.{name} AS {body}")
        yield connection


@pytest.fixture(scope="module")
def shown() -> Iterator[duckdb.DuckDBPyConnection]:
    """Tables of what the views show, with names looked up as a caller would expect."""
    with _database() as connection:
        for name, body in _VIEWS.items():
            connection.execute(f"CREATE TABLE air.{name} AS {body}")
        connection.execute("DROP SCHEMA hidden CASCADE")
        connection.execute("SET search_path = 'air.ops,air.crm,air.archive'")
        yield connection


def _database() -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={"python_enable_replacements": "false", "threads": "1"})
    connection.execute(_HIDDEN)
    connection.execute("ATTACH ':memory:' AS air")
    for product in CATALOG.products:
        connection.execute(f"CREATE SCHEMA air.{product}")
    return connection


def _answer(connection: duckdb.DuckDBPyConnection, sql: str) -> Answer | None:
    try:
        described = connection.execute(f"DESCRIBE {sql}").fetchall()
        rows = connection.execute(sql).fetchall()
    except (duckdb.BinderException, duckdb.ConversionException, duckdb.OutOfRangeException):
        return None
    # A subquery without an alias is named by its text, full names of datasets included.
    columns = tuple((_FULL_NAME.sub("", name), kind) for name, kind, *_ in described)
    return Answer(columns, Counter(_row(row) for row in rows))


def _row(row: tuple[object, ...]) -> str:
    return repr(tuple(f"{value:.9g}" if isinstance(value, float) else value for value in row))


@pytest.mark.parametrize("sql", served())
def test_served_question_answers_as_written(
    governed: duckdb.DuckDBPyConnection, shown: duckdb.DuckDBPyConnection, sql: str
) -> None:
    answer = _answer(governed, text_of(pass_gate(sql).tree))
    assert answer is not None
    assert answer == _answer(shown, sql)


def test_any_question_answers_as_written(
    governed: duckdb.DuckDBPyConnection, shown: duckdb.DuckDBPyConnection
) -> None:
    @settings(deadline=None, max_examples=100)
    @given(questions())
    def answers_alike(sql: str) -> None:
        checked = pass_gate(sql)
        text = text_of(checked.tree)
        confirm(checked, serialize(text), CATALOG)
        assert _answer(governed, text) == _answer(shown, sql)

    answers_alike()


@pytest.mark.parametrize("column", ["rowid", "filename", "file_row_number", "region", "base"])
def test_no_column_behind_a_view_is_reached(
    governed: duckdb.DuckDBPyConnection, column: str
) -> None:
    for sql in (
        f"SELECT {column} FROM passengers",
        f"SELECT passengers.{column} FROM passengers",
        f"SELECT id FROM passengers ORDER BY {column}",
        f"SELECT (passengers).{column} FROM passengers",
    ):
        assert _answer(governed, text_of(pass_gate(sql).tree)) is None
