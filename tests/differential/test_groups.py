"""Random questions about groups: those that are large enough answer as without the rule, no other.

How large a group is, plain Python counts, from the rows that the question is about.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings, target
from hypothesis import strategies as st

from tests.unit.enforcement.groups.scenes import grouped, runs

COLUMNS = {
    "id": "BIGINT",
    "team": "VARCHAR",
    "age": "INTEGER",
    "pay": "DOUBLE",
    "fee": "DECIMAL(9,2)",
    "ok": "BOOLEAN",
}
VALUES = (
    st.sampled_from([1, 2, 3, 4, 5, 6, None]),
    st.sampled_from(["red", "Red", "", None]),
    st.sampled_from([20, 30, None]),
    st.sampled_from([1.0, 2.0, 4.0, None]),
    st.sampled_from(["0.25", "7.50", None]),
    st.sampled_from([True, False, None]),
)
ROWS = st.lists(st.tuples(*VALUES), max_size=40)
CONDITIONS = st.recursive(
    st.sampled_from(
        [
            "age > 25",
            "30 >= age",
            "team = 'red'",
            "team LIKE 'r%'",
            "team NOT ILIKE 'R%'",
            "team IN ('red', '')",
            "team IS NOT NULL",
            "pay BETWEEN 1 AND 2",
            "fee <> 0.25",
            "id NOT IN (1, 2)",
            "ok",
            "ok IS NULL",
            "people.age IS DISTINCT FROM 20",
        ]
    ),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["AND", "OR"]), inner).map(" ".join).map("({})".format),
        inner.map("NOT ({})".format),
    ),
    max_leaves=4,
)
GROUPS = st.sampled_from([*COLUMNS, "people.team", "age > 25", "team = 'red'", "ok IS NULL"])
Aggregate = tuple[str, str | None]
AGGREGATES: st.SearchStrategy[Aggregate] = st.one_of(
    st.just(("count(*)", None)),
    st.sampled_from(list(COLUMNS)).flatmap(
        lambda column: st.sampled_from(
            [(f"count({column})", column), (f"count(DISTINCT {column})", column)]
        )
    ),
    st.tuples(
        st.sampled_from(["sum", "avg", "mean", "stddev", "stddev_pop", "variance", "var_pop"]),
        st.sampled_from(["age", "pay", "fee"]),
    ).map(lambda pair: (f"{pair[0]}({pair[1]})", pair[1])),
)


@dataclass(frozen=True, slots=True)
class Question:
    """A question in parts: the groupings come first in its select list."""

    groups: tuple[str, ...]
    aggregates: tuple[tuple[str, str | None], ...]
    where: str | None
    having: str | None
    tail: str
    by_place: bool

    @property
    def sql(self) -> str:
        """The question as a reader writes it."""
        items = [*self.groups, *(f"{text} AS a{n}" for n, (text, _) in enumerate(self.aggregates))]
        places = [str(place) for place in range(1, len(self.groups) + 1)]
        by = ", ".join(places if self.by_place else self.groups)
        return (
            f"SELECT {', '.join(items)} {self._rows}"
            + (f" GROUP BY {by}" if self.groups else "")
            + (f" HAVING {self.having}" if self.having else "")
            + self.tail
        )

    @property
    def rows(self) -> str:
        """The rows that it is about: groupings, the person, what is aggregated."""
        columns = [*self.groups, "id", *(column or "1" for _, column in self.aggregates)]
        return f"SELECT {', '.join(columns)} {self._rows}"

    @property
    def _rows(self) -> str:
        return "FROM people" + (f" WHERE {self.where}" if self.where else "")


@st.composite
def questions(draw: st.DrawFn) -> Question:
    groups = draw(st.lists(GROUPS, max_size=2, unique=True))
    fewest = 0 if groups else 1
    aggregates: list[Aggregate] = draw(st.lists(AGGREGATES, min_size=fewest, max_size=3))
    having = None
    if draw(st.booleans()) and aggregates:
        number = draw(st.integers(0, len(aggregates) - 1))
        name = draw(st.sampled_from([f"a{number}", aggregates[number][0]]))
        having = draw(st.sampled_from(["{} > 1", "NOT {} <= 2", "{} IS NOT NULL", "{} IN (2, 4)"]))
        having = having.format(name)
    tail = draw(st.sampled_from(["", " ORDER BY 1", " ORDER BY ALL DESC"]))
    where = draw(st.none() | CONDITIONS)
    return Question(tuple(groups), tuple(aggregates), where, having, tail, draw(st.booleans()))


def large_enough(
    question: Question, rows: list[tuple[Any, ...]], size: int, *, keyed: bool
) -> set[Any]:
    """The groups of at least `size` persons (rows, where there are none), by their groupings."""
    width = len(question.groups)
    members: dict[Any, list[Counter[Any]]] = defaultdict(
        lambda: [Counter() for _ in range(len(question.aggregates) + 1)]
    )
    for number, row in enumerate(rows):
        person = row[width] if keyed else number
        if person is None:
            continue
        counts = members[row[:width]]
        counts[0][person] += 1
        for place, value in enumerate(row[width + 1 :], 1):
            if value is not None:
                counts[place][person] += 1
    return {group for group, counts in members.items() if all(len(c) >= size for c in counts)}


@pytest.fixture(scope="module")
def database() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(config={"threads": "1"}) as connection:
        connection.execute("ATTACH ':memory:' AS air")
        connection.execute("CREATE SCHEMA air.crm")
        columns = ", ".join(f"{name} {type_}" for name, type_ in COLUMNS.items())
        connection.execute(f"CREATE TABLE air.crm.people ({columns})")
        connection.execute("SET search_path = 'air.crm'")
        yield connection


def answer(connection: duckdb.DuckDBPyConnection, sql: str) -> list[tuple[Any, ...]]:
    """The rows, without the last digits of numbers that were added up in another order."""
    return [
        tuple(f"{value:.9g}" if isinstance(value, float) else value for value in row)
        for row in connection.execute(sql).fetchall()
    ]


@pytest.mark.parametrize("keyed", [True, False])
def test_groups_that_are_large_enough_answer_and_no_others(
    database: duckdb.DuckDBPyConnection, keyed: bool
) -> None:
    seen = Counter[str]()

    @settings(max_examples=3 * settings().max_examples, deadline=None)
    @given(rows=ROWS, question=questions(), size=st.integers(2, 4))
    def holds(rows: list[tuple[Any, ...]], question: Question, size: int) -> None:
        database.execute("DELETE FROM people")
        if rows:
            database.executemany("INSERT INTO people VALUES (?, ?, ?, ?, ?, ?)", rows)
        dataset = grouped(COLUMNS, size, ("id",) if keyed else ())
        large = large_enough(question, answer(database, question.rows), size, keyed=keyed)
        plain = answer(database, question.sql)
        width = len(question.groups)
        expected = Counter(row for row in plain if row[:width] in large)

        assert Counter(answer(database, runs(question.sql, dataset))) == expected

        target(float(min(len(expected), len(plain) - len(expected))))
        seen["shown"] += bool(expected)
        seen["held back"] += len(plain) > len(expected)

    holds()
    assert min(seen["shown"], seen["held back"]) > 10
