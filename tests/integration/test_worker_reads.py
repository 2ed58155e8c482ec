"""What a governed read returns: masked, filtered, described exactly, in messages small enough."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa
import pytest

from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.pool import WorkerPool
from domain_agent.worker.running import Batch
from mesh import errors
from mesh.masks import Mask
from tests.integration.worker_cases import (
    KEY,
    PASSENGERS,
    contract,
    passengers,
    plan,
    read,
    rows,
    start,
    stream,
    stream_of,
    table_of,
    written,
)

NOT_FRENCH = {"not": {"column": "country", "op": "eq", "value": "FR"}}
MASKS = {
    "email": Mask.PSEUDONYM,
    "country": Mask.CONSTANT,
    "age": Mask.GENERALISE,
    "passport": Mask.DROP,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="module")
def pool(folder: Path) -> Iterator[WorkerPool]:
    with WorkerPool(PoolSettings(roots=(folder,), workers=1, batch_bytes=256 * 1024)) as started:
        yield started


def pseudonym(value: str) -> str:
    return blake2b(value.encode(), key=KEY, digest_size=16).hexdigest()


def test_a_read_shows_masked_columns_of_filtered_rows(pool: WorkerPool, folder: Path) -> None:
    passengers(folder)
    governed = plan(pool, contract(folder), MASKS, [NOT_FRENCH])
    assert read(pool, governed).to_pydict() == {
        "id": [1, 3, 5, 6],
        "email": [pseudonym("ana@raw.example"), None, pseudonym(""), pseudonym("eve-raw-secret")],
        "country": ["***"] * 4,
        "age": [30, None, 60, 999_980],
    }


def test_joins_groups_and_orders_see_only_masked_values(pool: WorkerPool, folder: Path) -> None:
    passengers(folder)
    governed = plan(pool, contract(folder), MASKS)
    t = "bookings.reservations.passengers"
    assert rows(pool, governed, f"SELECT count(*) AS n FROM {t} WHERE country = 'DE'") == [{"n": 0}]
    assert rows(pool, governed, f"SELECT max(age) AS m FROM {t}") == [{"m": 999_980}]
    joined = f"SELECT a.id, b.id AS other FROM {t} a JOIN {t} b USING (email) WHERE a.id < b.id"
    assert rows(pool, governed, joined) == [{"id": 1, "other": 4}]
    grouped = f"SELECT country, count(*) AS n FROM {t} GROUP BY ALL"
    assert rows(pool, governed, grouped) == [{"country": "***", "n": 6}]
    for hidden in ("SELECT passport FROM", "SELECT id FROM", "SELECT raw.email FROM"):
        where = " WHERE passport = 'RAWPASS1'" if hidden.startswith("SELECT id") else ""
        with pytest.raises(errors.StatementInvalid):
            rows(pool, governed, f"{hidden} {t}{where}")


ALL_MASKED = {
    "email": Mask.PARTIAL,
    "country": Mask.NULL,
    "age": Mask.GENERALISE,
    "passport": Mask.PSEUDONYM,
}


def test_no_raw_value_of_a_masked_column_leaves_the_worker(pool: WorkerPool, folder: Path) -> None:
    passengers(folder)
    governed = plan(pool, contract(folder), ALL_MASKED)
    with_everything = start(pool, governed)
    sent = with_everything.schema + b"".join(b.header + bytes(b.body) for b in with_everything)
    for raw in (b"ana@", b"eve-raw", b"RAWPASS", b"FR", (999_983).to_bytes(8, "little")):
        assert raw not in sent
    assert b"a***@raw.example" in sent


def test_several_files_of_one_plan_and_their_identity(pool: WorkerPool, folder: Path) -> None:
    passengers(folder)
    governed = plan(pool, contract(folder))
    assert read(pool, governed).num_rows == 6
    passengers(folder, PASSENGERS.slice(0, 2))
    assert read(pool, governed).num_rows == 2


def test_a_result_without_rows_has_its_schema(pool: WorkerPool, folder: Path) -> None:
    passengers(folder, PASSENGERS.slice(0, 0))
    governed = plan(pool, contract(folder), MASKS)
    table = read(pool, governed)
    assert table.schema == pa.schema(
        [("id", pa.int64()), ("email", pa.string()), ("country", pa.string()), ("age", pa.int64())]
    )
    assert table.num_rows == 0


TYPES = """SELECT 1 AS a, 2 AS a, count(*) AS c, sum(1::BIGINT) AS s, 1.5::DECIMAL(38,10) AS d,
 TIMESTAMPTZ '2026-01-01 00:00:00+02' AS tz, TIMESTAMP_NS '2026-01-01 00:00:00.000000001' AS ns,
 TIME '10:00' AS t, INTERVAL 1 DAY AS i, 'x'::BLOB AS b, gen_random_uuid() IS NULL AS u, NULL AS n,
 [1, NULL] AS l, {'k': 'v', 'w': [1.5]} AS st, MAP {'k': 1} AS m, 'b'::ENUM ('a', 'b') AS e,
 [[DATE '2026-01-01']] AS ll, array_value(1, 2) AS av, -1::HUGEINT AS h, 'NaN'::FLOAT AS f
 FROM bookings.reservations.passengers"""


def test_every_type_is_described_as_it_runs(pool: WorkerPool, folder: Path) -> None:
    passengers(folder)
    table = read(pool, plan(pool, contract(folder)), TYPES)
    assert table.schema.names[:2] == ["a", "a"]
    assert table.column("e").to_pylist() == ["b"]
    assert table.schema.field("e").type == pa.string()
    assert table.column("tz").to_pylist() == [datetime(2025, 12, 31, 22, tzinfo=UTC)]
    assert table.schema.field("tz").type == pa.timestamp("us", "UTC")
    assert table.column("d").to_pylist() == [Decimal("1.5000000000")]
    assert table.column("ll").to_pylist() == [[[date(2026, 1, 1)]]]
    assert table.column("t").to_pylist() == [time(10)]


@pytest.mark.parametrize(
    "expression", ["1::UHUGEINT", "'1'::BIT", "'10:00:00+01'::TIMETZ", "['a'::ENUM ('a')]"]
)
def test_what_arrow_cannot_carry_refuses(pool: WorkerPool, folder: Path, expression: str) -> None:
    passengers(folder)
    governed = plan(pool, contract(folder))
    with pytest.raises(errors.StatementNotAllowed, match="cast it to VARCHAR"):
        read(pool, governed, f"SELECT {expression} AS x FROM bookings.reservations.passengers")


def test_no_message_is_larger_than_allowed(pool: WorkerPool, folder: Path) -> None:
    passengers(folder, pa.table({"id": range(3_000), "text": ["x" * 1_000] * 3_000}))
    declared = contract(folder, {"id": "integer", "text": "string"})
    running = start(pool, plan(pool, declared))
    batches = list(running)
    assert max(len(b.header) + len(b.body) for b in batches) <= 256 * 1024
    assert table_of(running.schema, batches)["id"].to_pylist() == list(range(3_000))


def test_a_row_larger_than_a_message_refuses(pool: WorkerPool, folder: Path) -> None:
    passengers(folder, pa.table({"id": [1], "text": ["x" * 300_000]}))
    running = start(pool, plan(pool, contract(folder, {"id": "integer", "text": "string"})))
    with pytest.raises(errors.StatementFailed, match="one row is larger"):
        list(running)


@pytest.mark.parametrize("limit", [0, 1, 5, 6])
def test_a_row_limit_gives_that_many_rows_and_then_says_so(
    pool: WorkerPool, folder: Path, limit: int
) -> None:
    passengers(folder)
    running = start(pool, plan(pool, contract(folder), limits={"rows": limit}))
    found: list[Batch] = []
    if limit < 6:
        with pytest.raises(errors.LimitRows):
            found.extend(running)
    else:
        found.extend(running)
    assert sum(batch.rows for batch in found) == limit


def test_parameters_keep_their_types(pool: WorkerPool, folder: Path) -> None:
    passengers(folder)
    governed = plan(pool, contract(folder))
    sql = "SELECT id, ? AS p FROM bookings.reservations.passengers WHERE country = ? AND id > ?"
    bound = pa.record_batch(
        {
            "0": pa.array([datetime(2026, 1, 2, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            "1": pa.array(["DE"]),
            "2": pa.array([1], pa.int16()),
        }
    )
    table = read(pool, governed, sql, stream_of(bound))
    assert table.column("id").to_pylist() == [3, 5]
    assert table.schema.field("p").type == pa.timestamp("us", "UTC")
    assert read(pool, governed, sql, stream_of(bound.slice(0, 1))).num_rows == 2


@pytest.mark.parametrize(
    "type_",
    [
        pa.int32(),
        pa.int64(),
        pa.float64(),
        pa.string(),
        pa.date32(),
        pa.bool_(),
        pa.decimal128(9, 2),
        pa.timestamp("us"),
        pa.binary(),
        pa.time64("us"),
    ],
    ids=str,
)
def test_a_null_parameter_has_the_type_it_came_with(
    pool: WorkerPool, folder: Path, type_: pa.DataType
) -> None:
    passengers(folder)
    governed = plan(pool, contract(folder))
    sql = "SELECT coalesce($1, $1) AS p FROM bookings.reservations.passengers LIMIT 1"
    bound = pa.record_batch({"1": pa.nulls(1, type_)})
    table = read(pool, governed, sql, stream_of(bound))
    assert table.schema.field("p").type == type_
    assert table.column("p").to_pylist() == [None]
    only_types = stream_of(bound.slice(0, 0))
    assert pool.describe(governed, written(pool, sql), only_types) == table.schema.serialize()


def test_named_parameters_are_matched_by_name(pool: WorkerPool, folder: Path) -> None:
    passengers(folder)
    governed = plan(pool, contract(folder))
    sql = "SELECT $low + $high AS s FROM bookings.reservations.passengers LIMIT 1"
    assert read(pool, governed, sql, stream(high=1, low=2)).to_pydict() == {"s": [3]}


def test_misfitting_parameters_refuse(pool: WorkerPool, folder: Path) -> None:
    passengers(folder)
    governed = plan(pool, contract(folder))
    sql = "SELECT $1 AS a FROM bookings.reservations.passengers"
    two_rows = stream_of(pa.record_batch({"1": [1, 2]}))
    nested = stream_of(pa.record_batch({"1": [[1]]}))
    no_row = stream_of(pa.record_batch({"1": pa.array([], pa.int64())}))
    for bound in (None, b"", b"nonsense", stream(a=1, b=2), two_rows, nested, no_row):
        with pytest.raises(errors.StatementParametersInvalid):
            start(pool, governed, sql, bound)
    with pytest.raises(errors.StatementParametersInvalid):
        start(pool, governed, "SELECT 1 FROM bookings.reservations.passengers", stream(a=1))


CSV = 'id,email,born\n1,"a,""b""@x.example",2000-05-06\n2,,\n'


def test_a_csv_file_is_read_by_the_contracts_types(pool: WorkerPool, folder: Path) -> None:
    (folder / "p.csv").write_text(CSV)
    columns = {"born": "date", "id": "integer", "email": "string"}
    governed = plan(pool, contract(folder, columns, "p.csv", "csv"), {"born": Mask.GENERALISE})
    assert read(pool, governed).to_pydict() == {
        "born": [date(2000, 1, 1), None],
        "id": [1, 2],
        "email": ['a,"b"@x.example', None],
    }


@pytest.mark.parametrize(
    "content",
    [
        "id,email\n1,x\n",
        "id,email,born,extra\n1,x,,\n",
        "id,email,Born\n1,x,\n",
        "id,email,born,born\n1,x,,\n",
        "",
        "id;email;born\n1;x;\n",
        "\ufeffid,email\n",
    ],
)
def test_a_csv_header_that_differs_refuses(pool: WorkerPool, folder: Path, content: str) -> None:
    (folder / "p.csv").write_text(content)
    columns = {"born": "date", "id": "integer", "email": "string"}
    with pytest.raises(errors.SourceDrift):
        plan(pool, contract(folder, columns, "p.csv", "csv"))


def test_a_csv_value_of_another_type_fails_without_telling_it(
    pool: WorkerPool, folder: Path
) -> None:
    (folder / "p.csv").write_text("id,email,born\nsecret-77,x,2000-01-01\n")
    columns = {"id": "integer", "email": "string", "born": "date"}
    governed = plan(pool, contract(folder, columns, "p.csv", "csv"))
    with pytest.raises(errors.StatementFailed) as failed:
        read(pool, governed)
    assert "secret-77" not in failed.value.message
