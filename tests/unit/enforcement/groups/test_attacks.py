"""Nobody learns of one person: not by rows, groups, errors, orders or the shape of an answer."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from mesh.errors import StatementAggregatesOnly
from tests.unit.enforcement.groups.scenes import COLUMNS, PEOPLE, runs

_TEAMS = ("red", "green", "blue")
_ORDINARY = 36
# What bob may be: a well-paid one, one whose values break every conversion, or not there.
_BOBS = {
    "rich": "(99, 'bob', 'solo', 66, 2000, 3, '5', TRUE, DATE '1960-01-01', 2, 2, 2, ['x'])",
    "odd": "(99, 'bob', 'solo', 33, 1000, 9, 'none', FALSE, DATE '5877641-06-23 (BC)',"
    " 170141183460469231731687303715884105727::HUGEINT,"
    " 999999999999999999999999999999999999.99::DECIMAL(38,2), 99999999.9, [])",
    "absent": "",
}


def statements(kind: str) -> list[str]:
    section, found = "", []
    lines = (Path(__file__).with_name("attacks.txt")).read_text(encoding="utf-8").splitlines()
    for line in lines:
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#") and section == kind:
            found.append(line)
    return found


@pytest.fixture(scope="module")
def worlds() -> Iterator[list[duckdb.DuckDBPyConnection]]:
    """The same people with each kind of bob, who has twelve rows."""
    connections = []
    for bob in _BOBS.values():
        connection = duckdb.connect(config={"threads": "1"})
        connection.execute("ATTACH ':memory:' AS air")
        connection.execute("CREATE SCHEMA air.crm")
        columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
        connection.execute(f"CREATE TABLE air.crm.people ({columns})")
        connection.execute("CREATE TABLE air.crm.pets AS SELECT 1 AS id, 'cat' AS kind")
        connection.execute(
            "CREATE TABLE air.crm.teams AS SELECT unnest(['red', 'solo']) AS team, 'ann' AS boss"
        )
        for number in range(_ORDINARY):
            team = _TEAMS[number % len(_TEAMS)]
            connection.execute(
                "INSERT INTO air.crm.people VALUES (?, ?, ?, ?, ?, 1, NULL, TRUE,"
                " DATE '1990-01-01', 1, 1, 1, ['x'])",
                [number, f"p{number % 6}", team, 20 + number % 4, 100 + number % 5],
            )
        if bob:
            connection.execute(
                f"INSERT INTO air.crm.people SELECT v.* FROM (VALUES {bob}) v, range(12)"
            )
        connections.append(connection)
    yield connections
    for connection in connections:
        connection.close()


def answer(connection: duckdb.DuckDBPyConnection, sql: str) -> object:
    try:
        return Counter(map(repr, connection.execute(sql).fetchall()))
    except duckdb.Error as error:
        return type(error)


@pytest.mark.parametrize("sql", statements("refused"))
def test_attack_is_refused(sql: str) -> None:
    with pytest.raises(StatementAggregatesOnly):
        runs(sql)


@pytest.mark.parametrize("sql", statements("suppressed"))
def test_attack_answers_alike_whoever_bob_is(
    worlds: list[duckdb.DuckDBPyConnection], sql: str
) -> None:
    run = runs(sql)
    answers = [answer(world, run) for world in worlds]
    assert isinstance(answers[0], Counter)
    assert answers[0] == answers[1] == answers[2]


def test_the_attacks_would_tell_without_the_rule(worlds: list[duckdb.DuckDBPyConnection]) -> None:
    """That the worlds are apart, so that equal answers mean something."""
    for world in worlds:
        world.execute("SET search_path = 'air.crm'")
    telling = [
        sql
        for sql in statements("suppressed")
        if len({repr(answer(world, sql)) for world in worlds}) > 1
    ]
    assert len(telling) > len(statements("suppressed")) * 3 // 4


def test_there_are_enough_of_them() -> None:
    assert len(statements("refused")) + len(statements("suppressed")) >= 150
    assert PEOPLE.rule.size > 1
