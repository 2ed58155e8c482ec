"""What a reader may ask of a dataset that is open for statistics only, and what then runs."""

from pathlib import Path

import pytest

from mesh.errors import LimitUnsupported, StatementAggregatesOnly
from tests.unit.enforcement.groups.scenes import COLUMNS, DROPPED, PEOPLE, PETS, grouped, runs

FROM = "FROM air.crm.people"
EVERY = " LIMIT 9223372036854775807"
PERSONS = "(count(DISTINCT people.id) >= 5)"


def persons(column: str) -> str:
    return f"(count(DISTINCT people.id) FILTER (WHERE (people.{column} IS NOT NULL)) >= 5)"


@pytest.mark.parametrize(
    ("asked", "run"),
    [
        (
            "SELECT count(*) FROM people",
            f'SELECT count_star() AS "count_star()" {FROM} HAVING {PERSONS}{EVERY}',
        ),
        (
            "SELECT team FROM people GROUP BY team",
            f"SELECT people.team {FROM} GROUP BY people.team HAVING {PERSONS}{EVERY}",
        ),
        (
            "SELECT team, AVG(pay) AS m FROM crm.people GROUP BY 1 ORDER BY m LIMIT 3",
            f"SELECT people.team, avg(people.pay) AS m {FROM} GROUP BY people.team"
            f" HAVING ({PERSONS} AND {persons('pay')}) ORDER BY 2 LIMIT 3",
        ),
        (
            "SELECT team AS t, age > 30, count(DISTINCT id) FROM people GROUP BY t, age > 30",
            "SELECT people.team AS t, (people.age > CAST('30' AS INTEGER)),"
            f' count(DISTINCT people.id) AS "count(DISTINCT id)" {FROM}'
            " GROUP BY people.team, (people.age > CAST('30' AS INTEGER))"
            f" HAVING {PERSONS}{EVERY}",
        ),
        (
            "SELECT sum(fee) AS s FROM people HAVING s > 7 AND s <= 9.5",
            f"SELECT sum(people.fee) AS s {FROM}"
            " HAVING ((sum(people.fee) > CAST('7' AS DECIMAL(38, 2)))"
            " AND (sum(people.fee) <= CAST('9.5' AS DECIMAL(38, 2)))"
            f" AND {PERSONS} AND {persons('fee')}){EVERY}",
        ),
        (
            "SELECT count(*) AS n FROM people WHERE 5 < age OR NOT (name LIKE 'a%' AND ok)",
            f"SELECT count_star() AS n {FROM} WHERE ((people.age > CAST('5' AS INTEGER))"
            " OR (NOT ((people.\"name\" ~~ CAST('a%' AS VARCHAR)) AND people.ok)))"
            f" HAVING {PERSONS}{EVERY}",
        ),
        (
            "SELECT count(*) AS n FROM people WHERE born = $1 AND id IN ($2, 7)",
            f"SELECT count_star() AS n {FROM} WHERE ((people.born = TRY_CAST($1 AS DATE))"
            " AND (people.id IN (TRY_CAST($2 AS BIGINT), CAST('7' AS BIGINT))))"
            f" HAVING {PERSONS}{EVERY}",
        ),
        (
            "SELECT DISTINCT team, count(*) AS n FROM people GROUP BY ALL ORDER BY ALL DESC"
            " OFFSET 1",
            f"SELECT DISTINCT people.team, count_star() AS n {FROM} GROUP BY people.team"
            f" HAVING {PERSONS} ORDER BY 1 DESC, 2 DESC{EVERY} OFFSET 1",
        ),
    ],
)
def test_a_question_about_groups_runs_with_their_size(asked: str, run: str) -> None:
    assert runs(asked) == run


@pytest.mark.parametrize(
    "asked",
    [
        "SELECT max(n) FROM (SELECT team, count(*) AS n FROM people GROUP BY team)",
        "WITH c AS (SELECT team, count(*) AS n FROM people GROUP BY team) "
        "SELECT c.team, n, boss, rank() OVER (ORDER BY n) FROM c JOIN teams USING (team)",
        "SELECT count(*) FROM people UNION ALL SELECT count(*) FROM people WHERE ok",
        "SELECT boss, (SELECT avg(pay) FROM people) FROM teams",
        "SELECT boss FROM teams WHERE team IN (SELECT team FROM people GROUP BY team)",
        "SELECT boss FROM teams WHERE EXISTS (SELECT team FROM people GROUP BY team)",
        "WITH RECURSIVE r AS (SELECT count(*) AS n FROM people UNION ALL "
        "SELECT n - 1 FROM r WHERE n > 0) SELECT * FROM r",
    ],
)
def test_what_is_made_of_groups_is_free(asked: str) -> None:
    run = runs(asked)
    assert run.count("count(DISTINCT people.id) >= 5") == run.count("air.crm.people")


def test_a_dataset_without_persons_counts_rows() -> None:
    asked = "SELECT kind, count(id) AS n FROM pets GROUP BY kind"
    assert runs(asked, PETS) == (
        "SELECT pets.kind, count(pets.id) AS n FROM air.crm.pets GROUP BY pets.kind"
        f" HAVING ((count_star() >= 5) AND (count(pets.id) >= 5)){EVERY}"
    )


def test_every_key_must_tell_enough_persons_apart() -> None:
    both = grouped(COLUMNS, 3, ("id", "name"))
    run = runs("SELECT sum(pay) AS s FROM people", both)
    assert run.count(">= 3") == 4
    for key in ("people.id", 'people."name"'):
        assert f"(count(DISTINCT {key}) >= 3)" in run
        assert f"count(DISTINCT {key}) FILTER (WHERE (people.pay IS NOT NULL)) >= 3" in run


def test_each_dataset_has_its_own_size() -> None:
    asked = "SELECT count(*) AS n FROM people UNION ALL SELECT count(*) FROM pets"
    other = grouped({"id": "BIGINT", "kind": "VARCHAR"}, 9, (), "pets")
    run = runs(asked, PEOPLE, other)
    assert "count(DISTINCT people.id) >= 5" in run
    assert "count_star() >= 9" in run


def test_other_datasets_are_left_alone() -> None:
    asked = "SELECT kind FROM pets, (SELECT count(*) AS n FROM people) WHERE id < n"
    assert "pets" in runs(asked)
    with pytest.raises(StatementAggregatesOnly):
        runs(asked, PEOPLE, PETS)


def test_a_limit_on_what_is_not_read_refuses() -> None:
    with pytest.raises(LimitUnsupported):
        runs("SELECT kind FROM pets", PEOPLE)


@pytest.mark.parametrize(
    "column", [*COLUMNS, "PEOPLE.Team", "crm.people.team", "air.crm.people.team"]
)
def test_every_column_that_is_shown_can_be_grouped_by(column: str) -> None:
    assert " HAVING " in runs(f"SELECT {column} FROM people GROUP BY {column}")


def test_a_column_that_is_not_shown_is_none() -> None:
    with pytest.raises(StatementAggregatesOnly):
        runs(f"SELECT count({DROPPED}) FROM people")


def test_the_example_of_the_page_is_served() -> None:
    page = (Path(__file__).parents[4] / "docs" / "sql.md").read_text(encoding="utf-8")
    example = page.split("## Statistics only")[1].split("```sql")[1].split("```")[0]
    columns = {"carrier": "VARCHAR", "seat_class": "VARCHAR", "fare": "DECIMAL(9,2)"}
    columns |= {"month": "INTEGER", "origin": "VARCHAR", "passenger_id": "BIGINT"}
    assert "HAVING" in runs(example, grouped(columns, keys=("passenger_id",), name="bookings"))


def test_a_refusal_names_the_dataset_the_size_and_the_rule() -> None:
    with pytest.raises(StatementAggregatesOnly) as caught:
        runs("SELECT median(pay) AS zanzibar FROM people WHERE name = 'zanzibar'")
    message = caught.value.message
    for part in ("crm.people", "5 persons", "median", "docs/sql.md"):
        assert part in message
    assert "zanzibar" not in message
