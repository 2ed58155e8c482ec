"""Row filters against a plain Python oracle with SQL's three truth values."""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain_agent.enforcement.rows import Inapplicable, condition
from mesh.filters import parse_filter

HOSTILE = (
    "",
    "US",
    "US'); DROP TABLE t; --",
    "'' OR 1=1 --",
    'a"b',
    "\\",
    "$1 ? :x {} %s",
    "a\0b",
    "é\U0001f600\u202e",
    "x" * 100_000,
    "NaN",
    "\n\r\t/* */",
)
ARROW = {
    "VARCHAR": pa.string(),
    "BIGINT": pa.int64(),
    "DOUBLE": pa.float64(),
    "BOOLEAN": pa.bool_(),
    "DATE": pa.date32(),
    "DECIMAL(6,2)": pa.decimal128(6, 2),
    "TIMESTAMP WITH TIME ZONE": pa.timestamp("us", "UTC"),
}
VALUES: Mapping[str, Sequence[Any]] = {
    "VARCHAR": HOSTILE,
    "BIGINT": (-(2**63), -1, 0, 7, 2**63 - 1),
    "DOUBLE": (-1e300, -0.5, 0.0, 0.1, 7.0, math.inf, math.nan),
    "BOOLEAN": (True, False),
    "DATE": (date(1, 1, 1), date(1970, 1, 1), date(2026, 2, 28), date(9999, 12, 31)),
    "DECIMAL(6,2)": (Decimal("-9999.99"), Decimal("0.10"), Decimal("7")),
    "TIMESTAMP WITH TIME ZONE": (
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 1, 12, 30, 0, 5, tzinfo=UTC),
    ),
}
COLUMNS = {type_: (f'raw."c{n} \'x"', type_) for n, type_ in enumerate(VALUES)}
ORDERED = ("eq", "ne", "lt", "le", "gt", "ge")


def literal(value: object) -> object:
    """The value as a filter document spells it."""
    if isinstance(value, Decimal):
        return float(value) if value % 1 else int(value)
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    return value


@st.composite
def comparisons(draw: st.DrawFn) -> dict[str, object]:
    type_ = draw(st.sampled_from(sorted(VALUES)))
    finite = [v for v in VALUES[type_] if not isinstance(v, float) or math.isfinite(v)]
    value = st.sampled_from(finite)
    operator = draw(st.sampled_from([*ORDERED, "in", "is_null", "starts_with"]))
    wanted: object
    if operator == "is_null":
        wanted = draw(st.booleans())
    elif operator == "starts_with":
        type_ = "VARCHAR"
        text = draw(st.sampled_from(HOSTILE))
        wanted = text[: draw(st.integers(0, 4))]
    elif operator == "in":
        wanted = [literal(v) for v in draw(st.lists(value, min_size=1, max_size=4))]
    else:
        wanted = literal(draw(value))
    return {"column": type_, "op": operator, "value": wanted}


filters = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds(lambda f: {"not": f}, inner),
        st.builds(lambda f: {"and": f}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda f: {"or": f}, st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=5,
)


def holds(document: Mapping[str, Any], row: Mapping[str, Any]) -> bool | None:
    if "not" in document:
        inner = holds(document["not"], row)
        return None if inner is None else not inner
    if "and" in document or "or" in document:
        parts = [holds(part, row) for part in document.get("and") or document["or"]]
        decisive = "or" in document
        if decisive in parts:
            return decisive
        return None if None in parts else not decisive
    return compares(row[document["column"]], document["op"], document["value"])


def compares(value: Any, operator: str, wanted: Any) -> bool | None:
    if operator == "is_null":
        return (value is None) is wanted
    if value is None:
        return None
    if operator == "starts_with":
        return bool(value.startswith(wanted))
    if operator == "in":
        return any(order(value, parsed(member, value)) == 0 for member in wanted)
    signs = {"eq": (0,), "ne": (-1, 1), "lt": (-1,), "le": (-1, 0), "gt": (1,), "ge": (0, 1)}
    return order(value, parsed(wanted, value)) in signs[operator]


def parsed(wanted: Any, like: object) -> Any:
    if isinstance(like, datetime):
        return datetime.fromisoformat(wanted)
    if isinstance(like, date):
        return date.fromisoformat(wanted)
    return Decimal(str(wanted)) if isinstance(like, Decimal) else wanted


def order(left: Any, right: Any) -> int:
    """-1, 0 or 1; DuckDB orders NaN above every number, and text by its UTF-8 bytes."""
    if isinstance(left, str):
        left, right = left.encode(), right.encode()
    if isinstance(left, float) and math.isnan(left):
        return 1
    return int(left > right) - int(left < right)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect(config={"threads": 1})
    yield connection
    connection.close()


rows = st.lists(
    st.fixed_dictionaries(
        {type_: st.one_of(st.none(), st.sampled_from(values)) for type_, values in VALUES.items()}
    ),
    max_size=12,
)


@given(filters, rows)
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_filters_keep_exactly_the_rows_that_they_describe(
    con: duckdb.DuckDBPyConnection, document: dict[str, object], table: list[dict[str, Any]]
) -> None:
    sql = condition(parse_filter(document), COLUMNS)
    columns = {
        COLUMNS[type_][0].removeprefix("raw.")[1:-1]: pa.array([r[type_] for r in table], arrow)
        for type_, arrow in ARROW.items()
    }
    with con.cursor() as cursor:
        cursor.register("given", pa.table({"place": pa.array(range(len(table))), **columns}))
        found = cursor.sql(f"SELECT place FROM given AS raw WHERE {sql} ORDER BY place")
        kept = found.to_arrow_table()["place"].to_pylist()
    assert kept == [place for place, row in enumerate(table) if holds(document, row) is True]


MISFITS: Sequence[tuple[str, object]] = (
    ("VARCHAR", 1),
    ("VARCHAR", True),
    ("VARCHAR", "\ud800"),
    ("BIGINT", "1"),
    ("BIGINT", 1.0),
    ("BIGINT", True),
    ("BIGINT", 2**63),
    ("UTINYINT", -1),
    ("TINYINT", 128),
    ("DOUBLE", math.nan),
    ("DOUBLE", math.inf),
    ("DOUBLE", "1"),
    ("DOUBLE", 2**53 + 1),
    ("DOUBLE", 10**400),
    ("FLOAT", 1e300),
    ("BOOLEAN", 1),
    ("BOOLEAN", "true"),
    ("DATE", "2026-02-30"),
    ("DATE", "2026-2-3"),
    ("DATE", "20260203"),
    ("DATE", "2026-02-03T00:00:00"),
    ("DATE", "2026-W05-1"),
    ("DATE", 5),
    ("TIMESTAMP", "2026-02-03T00:00:00Z"),
    ("TIMESTAMP WITH TIME ZONE", "2026-02-03T00:00:00"),
    ("TIMESTAMP", "2026-02-03T25:00:00"),
    ("TIMESTAMP", "2026-02-03T00:00:00.1234567"),
    ("TIMESTAMP_S", "2026-02-03T00:00:00.5"),
    ("TIMESTAMP_MS", "2026-02-03T00:00:00.0005"),
    ("TIMESTAMP_NS", "1500-01-01T00:00:00"),
    ("TIME", "25:00"),
    ("TIME", "now"),
    ("UUID", "x"),
    ("DECIMAL(4,2)", 100),
    ("DECIMAL(4,2)", 0.125),
    ("DECIMAL(4,2)", math.nan),
    ("DECIMAL(4,2)", "1"),
    ("BLOB", "x"),
    ("INTEGER[]", 1),
    ("STRUCT(a INTEGER)", "x"),
)


@pytest.mark.parametrize(("type_", "value"), MISFITS)
def test_a_value_that_is_none_of_the_columns_type_refuses_without_telling_it(
    type_: str, value: object
) -> None:
    filter_ = parse_filter({"column": "c", "op": "eq", "value": value})
    with pytest.raises(Inapplicable) as refused:
        condition(filter_, {"c": ('"c"', type_)})
    assert str(refused.value) == f"a value compared with 'c' is none of {type_}"


FITS: Sequence[tuple[str, object, str]] = (
    ("TIMESTAMP", "2026-02-03", "TIMESTAMP '2026-02-03 00:00:00'"),
    ("TIMESTAMP", "2026-02-03 04:05", "TIMESTAMP '2026-02-03 04:05:00'"),
    ("TIMESTAMP_MS", "2026-02-03T00:00:00.120", "'2026-02-03 00:00:00.12'::TIMESTAMP_MS"),
    (
        "TIMESTAMP WITH TIME ZONE",
        "2026-02-03T01:00:00+01:00",
        "'2026-02-03 00:00:00Z'::TIMESTAMPTZ",
    ),
    ("TIME", "04:05:06.7", "TIME '04:05:06.7'"),
    (
        "UUID",
        "A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11",
        "'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::UUID",
    ),
    ("FLOAT", 0.1, "0.1::FLOAT"),
    ("DOUBLE", 3, "3.0::DOUBLE"),
    ("DECIMAL(4,2)", 99.99, "99.99::DECIMAL(4,2)"),
    ("DECIMAL(4,2)", -0.5, "(-0.5)::DECIMAL(4,2)"),
    ("DECIMAL(38,0)", 10**38 - 1, f"{10**38 - 1}::DECIMAL(38,0)"),
    ("DECIMAL(38,0)", 1 - 10**38, f"(-{10**38 - 1})::DECIMAL(38,0)"),
    ("DECIMAL(20,0)", 10**19, "10000000000000000000::DECIMAL(20,0)"),
    ("HUGEINT", -(2**127), "(-170141183460469231731687303715884105728)::HUGEINT"),
)


@pytest.mark.parametrize(("type_", "value", "same"), FITS)
def test_a_value_becomes_exactly_the_columns_type(
    con: duckdb.DuckDBPyConnection, type_: str, value: object, same: str
) -> None:
    sql = condition(
        parse_filter({"column": "c", "op": "eq", "value": value}), {"c": ("raw.c", type_)}
    )
    query = f"SELECT count(*) FROM (SELECT {same} AS c) AS raw WHERE {sql}"
    assert con.sql(query).fetchall() == [(1,)]


def test_text_operators_and_unknown_columns_refuse() -> None:
    prefix = parse_filter({"column": "c", "op": "starts_with", "value": "x"})
    with pytest.raises(Inapplicable, match="starts_with takes text"):
        condition(prefix, {"c": ("c", "BIGINT")})
    with pytest.raises(Inapplicable, match="'c', which is no column"):
        condition(prefix, {})
