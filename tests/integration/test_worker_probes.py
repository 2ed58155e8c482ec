"""Predicates and expressions that fail on values must never meet a value that is hidden.

Were a user's predicate evaluated below the policy's filter, or on the raw column below a mask,
its error would tell: by failing at all, and in what DuckDB writes about it.
"""

import itertools
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.pool import WorkerPool
from mesh import errors
from mesh.masks import Mask
from tests.integration.worker_cases import T, contract, plan, rows

VISIBLE = 200
HIDDEN_TEXT, HIDDEN_NUMBER = "hidden-raw-value", 0
COLUMNS = {"id": "integer", "team": "string", "code": "string", "amount": "integer"}
# Hidden rows are those whose `code` is no number and whose `amount` is 0.
TABLE = pa.table(
    {
        "id": range(2 * VISIBLE),
        "team": ["ours" if n % 2 else "theirs" for n in range(2 * VISIBLE)],
        "code": [str(n) if n % 2 else f"{HIDDEN_TEXT}{n}" for n in range(2 * VISIBLE)],
        "amount": pa.array([n if n % 2 else HIDDEN_NUMBER for n in range(2 * VISIBLE)], pa.int64()),
    }
)
OURS: Mapping[str, object] = {"column": "team", "op": "eq", "value": "ours"}
THEIRS: Mapping[str, object] = {"column": "team", "op": "eq", "value": "theirs"}
FILTERS: Mapping[str, Mapping[str, object]] = {
    "eq": OURS,
    "ne": {"column": "team", "op": "ne", "value": "theirs"},
    "in": {"column": "team", "op": "in", "value": ["ours", "nobody"]},
    "starts_with": {"column": "team", "op": "starts_with", "value": "our"},
    "not": {"not": THEIRS},
    "range": {"and": [{"column": "amount", "op": "gt", "value": 0}, OURS]},
    "or": {"or": [OURS, {"column": "id", "op": "lt", "value": -1}]},
    "not_null": {"and": [{"column": "code", "op": "is_null", "value": False}, OURS]},
}
PROBES = {
    "cast": "CAST(code AS INTEGER) >= 0",
    "arithmetic": "CAST(amount - 1 AS USMALLINT) >= 0",
    # Evaluated on a column's minimum and maximum, were statistics propagated.
    "statistics": "week(CASE WHEN amount <= 0 THEN DATE '5877642-06-25 (BC)' "
    "ELSE DATE '2020-01-01' END) = 1",
    "nanoseconds": "epoch_ns(CASE WHEN amount <= 0 THEN TIMESTAMPTZ '294247-01-10 04:00:54+00' "
    "ELSE TIMESTAMPTZ '2020-01-01 00:00+00' END) IS NOT NULL",
    "error": f"CASE WHEN code LIKE '{HIDDEN_TEXT}%' THEN error(code) ELSE '1' END = '1'",
}
WRAPPERS = {
    "where": "SELECT count(*) AS n FROM {t} WHERE {p}",
    "subquery": "SELECT count(*) AS n FROM (SELECT * FROM {t}) s WHERE {p}",
    "cte": "WITH c AS (SELECT * FROM {t}) SELECT count(*) AS n FROM c WHERE {p}",
    "join": "SELECT count(*) AS n FROM {t} a JOIN (SELECT id AS k FROM {t}) b ON id = k AND {p}",
    "condition": "SELECT count(*) AS n FROM {t} JOIN (SELECT 1 AS one) o ON {p}",
    "having": "SELECT count(*) AS n FROM (SELECT id FROM {t} GROUP BY id, code, amount HAVING {p})",
    "qualify": "SELECT count(*) AS n FROM (SELECT id FROM {t} QUALIFY {p} AND "
    "row_number() OVER (ORDER BY id) > 0)",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("data")
    pq.write_table(TABLE, path / "passengers.parquet", row_group_size=64)
    return path


@pytest.fixture(scope="module")
def pool(folder: Path) -> Iterator[WorkerPool]:
    with WorkerPool(PoolSettings(roots=(folder,), workers=1, instances=16)) as started:
        yield started


def test_the_probes_do_fail_where_nothing_is_hidden(pool: WorkerPool, folder: Path) -> None:
    everything = plan(pool, contract(folder, COLUMNS))
    for probe, wrapper in itertools.product(PROBES.values(), WRAPPERS.values()):
        with pytest.raises(errors.StatementFailed):
            rows(pool, everything, wrapper.format(t=T, p=probe))


@pytest.mark.parametrize("shape", FILTERS)
def test_no_predicate_is_evaluated_below_a_row_filter(
    pool: WorkerPool, folder: Path, shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    governed = plan(pool, contract(folder, COLUMNS), rows=[FILTERS[shape]])
    with caplog.at_level(logging.DEBUG):
        for probe, wrapper in itertools.product(PROBES.values(), WRAPPERS.values()):
            found = rows(pool, governed, wrapper.format(t=T, p=probe))
            assert found == [{"n": VISIBLE}], (probe, wrapper)
    assert HIDDEN_TEXT not in caplog.text


MASKS = {
    "code": (Mask.CONSTANT, Mask.PARTIAL, Mask.NULL, Mask.PSEUDONYM),
    "amount": (Mask.CONSTANT, Mask.GENERALISE, Mask.NULL, Mask.PSEUDONYM),
}


@pytest.mark.parametrize("place", range(4))
def test_what_fails_on_a_masked_column_speaks_of_its_mask_only(
    pool: WorkerPool, folder: Path, place: int, caplog: pytest.LogCaptureFixture
) -> None:
    masks = {column: chosen[place] for column, chosen in MASKS.items()}
    governed = plan(pool, contract(folder, COLUMNS), masks)
    with caplog.at_level(logging.DEBUG):
        for probe, wrapper in itertools.product(PROBES.values(), WRAPPERS.values()):
            try:
                rows(pool, governed, wrapper.format(t=T, p=probe))
            except errors.StatementFailed as failed:
                assert HIDDEN_TEXT not in failed.message
    assert HIDDEN_TEXT not in caplog.text
