"""Masks and row filters as SQL against plain Python, written from the description alone."""

import math
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from duckdb import func, sqltypes
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from domain_agent.enforcement.masks import Pseudonyms, applies, expression
from domain_agent.worker.pseudonym import number_pseudonyms, text_pseudonyms
from mesh.masks import Mask

KEY = bytes(range(32))
NAMES = Pseudonyms("as_text", "as_number")
EXAMPLES = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
INTEGERS = {
    "TINYINT": (pa.int8(), -(2**7), 2**7 - 1),
    "SMALLINT": (pa.int16(), -(2**15), 2**15 - 1),
    "INTEGER": (pa.int32(), -(2**31), 2**31 - 1),
    "BIGINT": (pa.int64(), -(2**63), 2**63 - 1),
    "UTINYINT": (pa.uint8(), 0, 2**8 - 1),
    "USMALLINT": (pa.uint16(), 0, 2**16 - 1),
    "UINTEGER": (pa.uint32(), 0, 2**32 - 1),
    "UBIGINT": (pa.uint64(), 0, 2**64 - 1),
}
TIMESTAMPS = {"TIMESTAMP": None, "TIMESTAMP WITH TIME ZONE": "UTC"}


def plain(*parts: int) -> datetime:
    """An instant without a zone."""
    return datetime(*parts, tzinfo=UTC).replace(tzinfo=None)  # type: ignore[arg-type,misc]


EPOCH = plain(1970, 1, 1)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1, "temp_directory": ""})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    for name, function, type_ in (
        (NAMES.of_text, text_pseudonyms(KEY), sqltypes.VARCHAR),
        (NAMES.of_number, number_pseudonyms(KEY), sqltypes.BIGINT),
    ):
        connection.create_function(name, function, [type_], type_, type=func.PythonUDFType.ARROW)
    yield connection
    connection.close()


def masked(con: duckdb.DuckDBPyConnection, values: pa.Array, type_: str, mask: Mask) -> list[Any]:
    sql = expression('raw."c"', type_, mask, NAMES)
    with con.cursor() as cursor:
        cursor.register("given", pa.table({"place": range(len(values)), "c": values}))
        query = f"SELECT {sql} AS m, typeof({sql}) AS t FROM given AS raw ORDER BY place"
        table = cursor.sql(query).to_arrow_table()
    assert {str(kind) for kind in table["t"].to_pylist()} <= {type_}
    found: list[Any] = table["m"].to_pylist()
    return found


texts = st.lists(st.one_of(st.none(), st.text(), st.text("a@é\0\U0001f600b.", max_size=12)))


@given(texts)
@example(["", "@", "a@", "@a", "a@b@c.d", "1234567", "12345678", "é" * 8, "\U0001f600@x", "\0@\0"])
@EXAMPLES
def test_partial_text(con: duckdb.DuckDBPyConnection, values: list[str | None]) -> None:
    def oracle(value: str | None) -> str | None:
        if value is None:
            return None
        if "@" in value:
            return value[0] + "***" + value[value.rindex("@") :]
        return "***" + value[-4:] if len(value) >= 8 else "***"

    found = masked(con, pa.array(values, pa.string()), "VARCHAR", Mask.PARTIAL)
    assert found == [oracle(value) for value in values]


@given(texts)
@EXAMPLES
def test_pseudonyms_of_text(con: duckdb.DuckDBPyConnection, values: list[str | None]) -> None:
    found = masked(con, pa.array(values, pa.string()), "VARCHAR", Mask.PSEUDONYM)
    assert found == [
        None if v is None else blake2b(v.encode(), key=KEY, digest_size=16).hexdigest()
        for v in values
    ]


@given(st.lists(st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1))))
@example([-(2**63), 2**63 - 1, 0, -1, None])
@EXAMPLES
def test_pseudonyms_of_numbers(con: duckdb.DuckDBPyConnection, values: list[int | None]) -> None:
    def oracle(value: int | None) -> int | None:
        if value is None:
            return None
        digest = blake2b(value.to_bytes(8, "big", signed=True), key=KEY, digest_size=8).digest()
        return int.from_bytes(digest, "big") % 2**63

    found = masked(con, pa.array(values, pa.int64()), "BIGINT", Mask.PSEUDONYM)
    assert found == [oracle(value) for value in values]


def test_pseudonyms_of_many_values_with_nulls_and_repeats(con: duckdb.DuckDBPyConnection) -> None:
    values = [None if n % 7 == 0 else f"user{n % 501}@example.org" for n in range(20_000)]
    found = masked(con, pa.array(values, pa.string()), "VARCHAR", Mask.PSEUDONYM)
    assert found == [
        None if v is None else blake2b(v.encode(), key=KEY, digest_size=16).hexdigest()
        for v in values
    ]
    assert len(set(found)) == 502


@pytest.mark.parametrize("type_", INTEGERS)
@given(data=st.data())
@EXAMPLES
def test_generalised_integers(
    con: duckdb.DuckDBPyConnection, type_: str, data: st.DataObject
) -> None:
    arrow, low, high = INTEGERS[type_]
    edges = st.sampled_from([low, low + 1, low + 9, high, high - 9, 0, 1, 9, 10])
    values = data.draw(st.lists(st.one_of(st.none(), edges, st.integers(low, high))))

    def oracle(value: int | None) -> int | None:
        if value is None:
            return None
        floor = value // 10 * 10
        return floor if floor >= low else None

    found = masked(con, pa.array(values, arrow), type_, Mask.GENERALISE)
    assert found == [oracle(value) for value in values]


@given(st.lists(st.one_of(st.none(), st.floats())))
@example([math.inf, -math.inf, math.nan, -0.0, 5e-324, 1.7976931348623157e308, -0.5, 29.9])
@EXAMPLES
def test_generalised_doubles(con: duckdb.DuckDBPyConnection, values: list[float | None]) -> None:
    def oracle(value: float | None) -> float | None:
        if value is None or not math.isfinite(value):
            return value
        return float(math.floor(value / 10)) * 10

    found = masked(con, pa.array(values, pa.float64()), "DOUBLE", Mask.GENERALISE)
    assert [repr(v if v != 0 else 0.0) for v in found] == [
        repr(w if w != 0 else 0.0) for w in map(oracle, values)
    ]


@given(st.lists(st.one_of(st.none(), st.floats(width=32))))
@example([math.inf, -math.inf, math.nan, 3.4028234663852886e38, -3.4028234663852886e38, -0.5])
@EXAMPLES
def test_generalised_floats(con: duckdb.DuckDBPyConnection, values: list[float | None]) -> None:
    found = masked(con, pa.array(values, pa.float32()), "FLOAT", Mask.GENERALISE)
    for value, masked_value in zip(values, found, strict=True):
        if value is None:
            assert masked_value is None
        elif not math.isfinite(value):
            assert repr(masked_value) == repr(value)
        elif masked_value is not None:
            wanted = float(math.floor(value / 10)) * 10
            assert masked_value == pytest.approx(wanted, rel=1e-6)


DECIMALS = st.sampled_from(
    [(1, 0), (1, 1), (4, 2), (5, 5), (9, 3), (18, 0), (18, 6), (38, 0), (38, 37)]
)


@given(data=st.data(), size=DECIMALS)
@EXAMPLES
def test_generalised_decimals(
    con: duckdb.DuckDBPyConnection, data: st.DataObject, size: tuple[int, int]
) -> None:
    precision, scale = size
    bound = 10**precision - 1
    unscaled = st.one_of(st.integers(-bound, bound), st.sampled_from([-bound, bound, 0, -1]))
    numbers = data.draw(st.lists(st.one_of(st.none(), unscaled)))
    values = [
        None if n is None else Decimal((n < 0, tuple(map(int, str(abs(n)))), -scale))
        for n in numbers
    ]

    def oracle(number: int | None) -> Decimal | None:
        if number is None:
            return None
        floor = number // 10 ** (scale + 1) * 10
        return Decimal(floor) if abs(floor) < 10 ** (precision - scale) else None

    type_ = f"DECIMAL({precision},{scale})"
    found = masked(con, pa.array(values, pa.decimal128(precision, scale)), type_, Mask.GENERALISE)
    assert found == [oracle(number) for number in numbers]


@given(st.lists(st.one_of(st.none(), st.integers(-(2**31) + 2, 2**31 - 2))))
@example([-(2**31) + 2, 2**31 - 2, -719_162, -719_163, 2_932_896, 2_932_897, 0, None])
@EXAMPLES
def test_generalised_dates(con: duckdb.DuckDBPyConnection, days: list[int | None]) -> None:
    first, last = (day.toordinal() - date(1970, 1, 1).toordinal() for day in (date.min, date.max))

    def oracle(day: int | None) -> date | None:
        if day is None or not first <= day <= last:
            return None
        return (date(1970, 1, 1) + timedelta(days=day)).replace(month=1, day=1)

    values = pa.array(days, pa.int32()).cast(pa.date32())
    assert masked(con, values, "DATE", Mask.GENERALISE) == [oracle(day) for day in days]


MICROS = st.integers(-(2**63) + 2, 2**63 - 2)
SANE = st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)


@pytest.mark.parametrize("type_", TIMESTAMPS)
@given(micros=st.lists(st.one_of(st.none(), MICROS, SANE)))
@example(micros=[-(2**63) + 2, 2**63 - 2, -62_135_596_800_000_000, 253_402_300_799_999_999, -1])
@EXAMPLES
def test_generalised_timestamps(
    con: duckdb.DuckDBPyConnection, type_: str, micros: list[int | None]
) -> None:
    zone = TIMESTAMPS[type_]

    def oracle(micro: int | None) -> datetime | None:
        if micro is None or not -62_135_596_800_000_000 <= micro <= 253_402_300_799_999_999:
            return None
        month = (EPOCH + timedelta(microseconds=micro)).replace(
            day=1, hour=0, minute=0, second=0, microsecond=0
        )
        return month if zone is None else month.replace(tzinfo=UTC)

    values = pa.array(micros, pa.int64()).cast(pa.timestamp("us", zone))
    assert masked(con, values, type_, Mask.GENERALISE) == [oracle(micro) for micro in micros]


@pytest.mark.parametrize(
    ("type_", "unit"), [("TIMESTAMP_S", "s"), ("TIMESTAMP_MS", "ms"), ("TIMESTAMP_NS", "ns")]
)
def test_generalised_timestamps_of_other_precision(
    con: duckdb.DuckDBPyConnection, type_: str, unit: str
) -> None:
    instants = [plain(2026, 3, 15, 12, 30), plain(1999, 12, 31, 23, 59, 59), None]
    values = pa.array(instants, pa.timestamp("us")).cast(pa.timestamp(unit))
    found = masked(con, values, type_, Mask.GENERALISE)
    assert found == [plain(2026, 3, 1), plain(1999, 12, 1), None]


def test_a_nanosecond_month_before_the_first_representable_one_is_null(
    con: duckdb.DuckDBPyConnection,
) -> None:
    values = pa.array([-(2**63) + 2], pa.int64()).cast(pa.timestamp("ns"))
    assert masked(con, values, "TIMESTAMP_NS", Mask.GENERALISE) == [None]


CONSTANTS: Sequence[tuple[str, pa.Array, object]] = (
    ("VARCHAR", pa.array(["x", None]), "***"),
    ("BOOLEAN", pa.array([True, None]), False),
    ("DATE", pa.array([date(2026, 1, 2), None]), date(1970, 1, 1)),
    ("TIMESTAMP", pa.array([plain(2026, 1, 2), None]), plain(1970, 1, 1)),
    ("DOUBLE", pa.array([math.nan, None]), 0.0),
    ("DECIMAL(3,3)", pa.array([Decimal("0.5"), None], pa.decimal128(3, 3)), Decimal(0)),
    *((type_, pa.array([7, None], arrow), 0) for type_, (arrow, _, _) in INTEGERS.items()),
)


@pytest.mark.parametrize(("type_", "values", "constant"), CONSTANTS, ids=lambda x: str(x)[:12])
def test_constants_and_nulls_tell_nothing(
    con: duckdb.DuckDBPyConnection, type_: str, values: pa.Array, constant: object
) -> None:
    assert masked(con, values, type_, Mask.CONSTANT) == [constant, constant]
    assert masked(con, values, type_, Mask.NULL) == [None, None]
    assert masked(con, values, type_, Mask.CLEAR)[1] is None


EXTREMES: dict[str, pa.Array] = {
    "DATE": pa.array([-(2**31) + 2, 2**31 - 2], pa.int32()).cast(pa.date32()),
    "TIMESTAMP": pa.array([-(2**63) + 2, 2**63 - 2], pa.int64()).cast(pa.timestamp("us")),
    "TIMESTAMP WITH TIME ZONE": pa.array([-(2**63) + 2, 2**63 - 2], pa.int64()).cast(
        pa.timestamp("us", "UTC")
    ),
    "DOUBLE": pa.array([-math.inf, math.nan]),
    "FLOAT": pa.array([-3.4028234663852886e38, 3.4028234663852886e38], pa.float32()),
    "DECIMAL(38,0)": pa.array([Decimal("-" + "9" * 38), Decimal("9" * 38)], pa.decimal128(38, 0)),
    **{t: pa.array([low, high], arrow) for t, (arrow, low, high) in INTEGERS.items()},
}
SHAPES: Sequence[Callable[[str], str]] = (
    lambda sql: f"SELECT {sql} AS m FROM {{}} AS raw",
    lambda sql: f"SELECT count(*) FROM (SELECT {sql} AS m FROM {{}} AS raw) WHERE m IS NOT NULL",
    lambda sql: f"SELECT min(m), max(m) FROM (SELECT {sql} AS m FROM {{}} AS raw)",
    lambda sql: f"SELECT m FROM (SELECT {sql} AS m FROM {{}} AS raw) GROUP BY m ORDER BY m",
)


@pytest.mark.parametrize("type_", EXTREMES)
def test_no_mask_fails_on_extreme_statistics(
    con: duckdb.DuckDBPyConnection, type_: str, tmp_path: Path
) -> None:
    """The optimizer evaluates expressions over a file's minima and maxima while it plans."""
    path = tmp_path / "extremes.parquet"
    pq.write_table(pa.table({"c": EXTREMES[type_]}), path)
    for mask in (mask for mask in Mask if mask is not Mask.DROP and applies(mask, type_)):
        sql = expression('raw."c"', type_, mask, NAMES)
        for shape in SHAPES:
            with con.cursor() as cursor:
                rows = cursor.sql(shape(sql).format(f"read_parquet('{path}')")).to_arrow_table()
            assert rows.num_rows
