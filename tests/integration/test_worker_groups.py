"""Statistics only, through the gate, the rule and a real worker: masked keys count persons."""

import dataclasses
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain_agent.enforcement.plan import Plan
from domain_agent.reads.grouping import GroupedStatements, PlannedSql
from domain_agent.reads.statements import Statements
from domain_agent.snapshot.values import Snapshot
from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.pool import WorkerPool
from mesh import errors
from mesh.contracts.values import Contract
from mesh.decisions.policy import Policy
from mesh.masks import Mask
from tests.integration.worker_cases import contract, plan, read, stream, stream_of

SIZE, ROWS_SIZE = 5, 15
COLUMNS = {"id": "integer", "team": "string", "code": "string", "amount": "integer"}
# 40 persons with two rows each in two teams, and one with ten rows whose code is no number.
ROWS = [(n % 40, ("red", "blue")[n % 2], str(n % 4), n % 4) for n in range(80)]
ROWS += [(99, "solo", "no-number", 0)] * 10
PROBES = {
    "cast": "CAST(code AS INTEGER) >= 0",
    "arithmetic": "CAST(2 - length(code) AS UTINYINT) >= 0",
    "case": "CASE WHEN team = 'solo' THEN CAST(team AS INTEGER) ELSE 1 END = 1",
}
GROUPED = "SELECT team, code, count(*) AS n FROM passengers GROUP BY ALL"
WRAPPERS = {
    "subquery": f"SELECT sum(n) AS n FROM ({GROUPED}) WHERE {{p}}",
    "ordered": f"SELECT sum(n) AS n FROM ({GROUPED} ORDER BY n) WHERE {{p}}",
    "cte": f"WITH g AS ({GROUPED}) SELECT sum(n) AS n FROM g WHERE {{p}}",
    "inlined": f"WITH g AS NOT MATERIALIZED ({GROUPED}) SELECT sum(n) AS n FROM g WHERE {{p}}",
    "union": f"SELECT sum(n) // 2 AS n FROM ({GROUPED} UNION ALL {GROUPED}) WHERE {{p}}",
    "join": f"SELECT sum(n) AS n FROM ({GROUPED}) JOIN (SELECT 1 AS one) ON {{p}}",
    "cross": f"SELECT sum(n) AS n FROM ({GROUPED}) g, (VALUES ('red'), ('blue')) v(t)"
    " WHERE g.team = v.t AND {p}",
    "having": f"SELECT sum(n) AS n FROM (SELECT team, code, n FROM ({GROUPED}) GROUP BY ALL"
    " HAVING {p})",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    columns = zip(*ROWS, strict=True)
    table = pa.table(dict(zip(COLUMNS, map(list, columns), strict=True)))
    pq.write_table(table, path / "passengers.parquet", row_group_size=32)
    return path


@pytest.fixture(scope="module")
def pool(folder: Path) -> Iterator[WorkerPool]:
    with WorkerPool(PoolSettings(roots=(folder,), workers=1)) as started:
        yield started


@pytest.fixture(scope="module")
def declared(folder: Path) -> Contract:
    made = contract(folder, COLUMNS)
    (dataset,) = made.datasets
    columns = tuple(dataclasses.replace(c, subject_key=c.name == "id") for c in dataset.columns)
    return dataclasses.replace(made, datasets=(dataclasses.replace(dataset, columns=columns),))


@pytest.fixture(params=["clear key", "pseudonym as key", "no key"])
def planned(request: pytest.FixtureRequest, pool: WorkerPool, declared: Contract) -> Plan:
    if request.param == "no key":
        keyless = contract(Path(declared.server.path), COLUMNS)
        return plan(pool, keyless, limits={"group": ROWS_SIZE})
    mask = Mask.CLEAR if request.param == "clear key" else Mask.PSEUDONYM
    return plan(pool, declared, {"id": mask}, limits={"group": SIZE})


def limited(pool: WorkerPool, planned: Plan, declared: Contract, sql: str) -> PlannedSql:
    """The statement as an agent has it run."""
    snapshot = Snapshot(
        1, b"digest", {}, {declared.product: declared}, (), frozenset(), Policy({}), ()
    )
    checked = Statements("bookings", pool).check(sql, snapshot)
    return GroupedStatements("bookings", pool).under(planned, checked, snapshot)


def answer(pool: WorkerPool, planned: Plan, declared: Contract, sql: str) -> list[dict[str, Any]]:
    table = read(pool, planned, limited(pool, planned, declared, sql).runs)
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def test_large_groups_are_shown_and_small_ones_are_not(
    pool: WorkerPool, planned: Plan, declared: Contract
) -> None:
    asked = "SELECT team, count(*) AS n, count(DISTINCT id) AS persons FROM passengers GROUP BY 1"
    found = answer(pool, planned, declared, f"{asked} ORDER BY team")
    assert found == [
        {"team": "blue", "n": 40, "persons": 20},
        {"team": "red", "n": 40, "persons": 20},
    ]
    assert answer(pool, planned, declared, f"{asked} HAVING count(*) < 30") == []


def test_one_row_of_a_few_persons_is_none(
    pool: WorkerPool, planned: Plan, declared: Contract
) -> None:
    asked = "SELECT sum(amount) AS s FROM passengers WHERE team = '{}'"
    assert answer(pool, planned, declared, asked.format("solo")) == []
    assert answer(pool, planned, declared, asked.format("red")) == [{"s": 40}]


def test_no_outer_query_is_evaluated_on_a_small_group(
    pool: WorkerPool, planned: Plan, declared: Contract
) -> None:
    for probe, wrapper in itertools.product(PROBES.values(), WRAPPERS.values()):
        found = answer(pool, planned, declared, wrapper.format(p=probe))
        assert found == [{"n": 80}], (probe, wrapper)


def test_the_probes_do_fail_where_nothing_is_held_back(
    pool: WorkerPool, declared: Contract
) -> None:
    free = plan(pool, declared)
    for probe, wrapper in itertools.product(PROBES.values(), WRAPPERS.values()):
        with pytest.raises(errors.StatementFailed):
            answer(pool, free, declared, wrapper.format(p=probe))


def test_row_filters_count_first(pool: WorkerPool, declared: Contract) -> None:
    few = [{"column": "id", "op": "lt", "value": 2 * SIZE}]
    planned = plan(pool, declared, rows=few, limits={"group": SIZE})
    asked = "SELECT team, count(*) AS n FROM passengers GROUP BY team ORDER BY team"
    assert answer(pool, planned, declared, asked) == [
        {"team": "blue", "n": 10},
        {"team": "red", "n": 10},
    ]
    fewer = plan(
        pool,
        declared,
        rows=[{"column": "id", "op": "lt", "value": 2 * SIZE - 1}],
        limits={"group": SIZE},
    )
    assert answer(pool, fewer, declared, asked) == [{"team": "red", "n": 10}]


def test_parameters_are_values_of_what_they_are_compared_with(
    pool: WorkerPool, planned: Plan, declared: Contract
) -> None:
    asked = "SELECT count(*) AS n FROM passengers WHERE code = ? AND amount <= ?"
    sql = limited(pool, planned, declared, asked)
    good = stream(a="1", b=1)
    sql.check_parameters(good)
    assert read(pool, planned, sql.runs, good).to_pylist() == [{"n": 20}]
    for bad in (stream(a=1, b=1), stream(a="1", b="x"), stream(a="1", b=1.5)):
        with pytest.raises(errors.StatementParametersInvalid):
            sql.check_parameters(bad)
        # Were it not refused, it would still meet no row, and fail on none.
        assert read(pool, planned, sql.runs, bad).num_rows in (0, 1)
    twins = pa.RecordBatch.from_arrays([pa.array(["1"]), pa.array([1])], names=["", ""])
    sql.check_parameters(stream_of(twins))
    sql.check_parameters(None)


def test_a_statement_under_no_such_limit_runs_as_the_gate_wrote_it(
    pool: WorkerPool, declared: Contract
) -> None:
    free = plan(pool, declared, limits={"rows": 3})
    sql = limited(pool, free, declared, "SELECT * FROM passengers LIMIT 2")
    assert sql == PlannedSql("SELECT * FROM bookings.reservations.passengers LIMIT 2")
    sql.check_parameters(stream(a=1))


def test_a_statement_that_shows_rows_is_refused(
    pool: WorkerPool, planned: Plan, declared: Contract
) -> None:
    for asked in ("FROM passengers", "SELECT code FROM passengers WHERE team = 'solo'"):
        with pytest.raises(errors.StatementAggregatesOnly):
            limited(pool, planned, declared, asked)


def test_a_limited_statement_is_remembered(
    pool: WorkerPool, planned: Plan, declared: Contract
) -> None:
    snapshot = Snapshot(
        1, b"digest", {}, {declared.product: declared}, (), frozenset(), Policy({}), ()
    )
    checked = Statements("bookings", pool).check("SELECT count(*) FROM passengers", snapshot)
    grouped = GroupedStatements("bookings", pool)
    first = grouped.under(planned, checked, snapshot)
    assert grouped.under(planned, checked, snapshot) is first
    (dataset,) = planned.datasets
    assert dataset.group is not None
    stricter = dataclasses.replace(
        planned,
        datasets=(dataclasses.replace(dataset, group=dataclasses.replace(dataset.group, size=50)),),
    )
    assert grouped.under(stricter, checked, snapshot).runs != first.runs
