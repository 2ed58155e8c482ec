"""Metadata answers."""

import re

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_agent.flight import catalog, sql_info, sql_types
from domain_agent.flight.catalog import like
from domain_agent.flight.ports import TableInfo
from mesh.arrow import flight_sql_pb2 as sql

SCHEMA = pa.schema([("id", pa.int64())]).serialize().to_pybytes()
TABLES = [
    TableInfo("ops", "rotations", "legs", SCHEMA, ""),
    TableInfo("ops", "flights", "delays", SCHEMA, ""),
    TableInfo("ops", "flights", "delays_daily", SCHEMA, ""),
    TableInfo("crew", "flights", "delays", SCHEMA, ""),
]
FACTS = sql_info.facts("1.2.3", 900)


def answered(command: object) -> list[tuple[object, ...]]:
    table = catalog.answer(command, lambda: TABLES, FACTS)  # type: ignore[arg-type]
    assert table.schema == catalog.schema(command)  # type: ignore[arg-type]
    return [tuple(row.values()) for row in table.to_pylist()]


def test_catalogs_are_sorted_and_told_once() -> None:
    assert answered(sql.CommandGetCatalogs()) == [("crew",), ("ops",)]


def test_schemas_can_be_narrowed() -> None:
    everything = [("crew", "flights"), ("ops", "flights"), ("ops", "rotations")]
    assert answered(sql.CommandGetDbSchemas()) == everything
    assert answered(sql.CommandGetDbSchemas(catalog="ops")) == everything[1:]
    assert answered(sql.CommandGetDbSchemas(db_schema_filter_pattern="rot%")) == everything[2:]
    assert answered(sql.CommandGetDbSchemas(catalog="")) == []


def test_tables_can_be_narrowed() -> None:
    asked = sql.CommandGetTables(
        catalog="ops", db_schema_filter_pattern="flights", table_name_filter_pattern="delays\\_%"
    )
    assert answered(asked) == [("ops", "flights", "delays_daily", "TABLE")]
    assert len(answered(sql.CommandGetTables(table_types=["TABLE", "VIEW"]))) == 4
    assert answered(sql.CommandGetTables(table_types=["VIEW"])) == []


def test_tables_come_with_their_schema_when_asked() -> None:
    rows = answered(sql.CommandGetTables(include_schema=True, table_name_filter_pattern="legs"))
    assert rows == [("ops", "rotations", "legs", "TABLE", SCHEMA)]


def test_query_is_no_metadata() -> None:
    assert catalog.schema(sql.CommandStatementQuery(query="SELECT 1")) is None


@pytest.mark.parametrize(
    ("number", "value"), [(0, "Meshwarden"), (1, "1.2.3"), (3, True), (8, 0), (100, 900_000)]
)
def test_fact_is_told(number: int, value: object) -> None:
    assert answered(sql.CommandGetSqlInfo(info=[number])) == [(number, value)]


def test_every_fact_is_told_and_valid() -> None:
    table = sql_info.table(FACTS, [])
    table.validate(full=True)
    assert table.column("info_name").to_pylist() == sorted(FACTS)
    told = dict(zip(sorted(FACTS), table.column("value").to_pylist(), strict=True))
    assert told == {number: [] if value == {} else value for number, value in sorted(FACTS.items())}


def test_numbers_have_the_width_that_the_specification_says() -> None:
    table = sql_info.table(FACTS, [])
    children = table.column("value").combine_chunks().type_codes.to_pylist()
    wide = {number for number, child in zip(sorted(FACTS), children, strict=True) if child == 2}
    assert wide == set(range(541, 563)) - {556}


def test_unknown_fact_is_left_out() -> None:
    assert answered(sql.CommandGetSqlInfo(info=[3, 99_999])) == [(3, True)]


def test_types_are_sorted_by_number() -> None:
    numbers = sql_types.table(None).column("data_type").to_pylist()
    assert numbers == sorted(numbers)
    (varchar,) = sql_types.table(12).to_pylist()
    assert varchar["type_name"] == "VARCHAR"
    assert varchar["literal_prefix"] == "'"
    assert sql_types.table(4711).num_rows == 0


@given(st.text("ab%_\\.", max_size=8), st.text("ab%_\\.", max_size=8))
def test_pattern_matches_as_a_regular_expression_would(pattern: str, text: str) -> None:
    expression, rest = "", pattern
    while rest:
        character, rest = rest[0], rest[1:]
        if character == "\\":
            expression += re.escape(rest[0] if rest else "\\")
            rest = rest[1:]
        else:
            expression += {"%": ".*", "_": "."}.get(character, re.escape(character))
    assert like(pattern)(text) == bool(re.fullmatch(expression, text, re.DOTALL))


def test_pattern_of_many_wildcards_is_matched_at_once() -> None:
    assert not like("%a" * 5_000 + "b")("a" * 5_000)
