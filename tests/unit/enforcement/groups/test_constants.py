"""Constants become values of the type they are compared with, or refuse; parameters likewise."""

from datetime import UTC, date, datetime, time
from decimal import Decimal

import duckdb
import pytest

from domain_agent.enforcement.groups import ParameterUse, check_values
from mesh.errors import StatementAggregatesOnly, StatementParametersInvalid
from tests.unit.enforcement.groups.scenes import grouped, limited, runs, text_of

NOON = datetime.combine(date(2026, 3, 1), time(12))
FITTING = {
    "TINYINT": ("127", "-128"),
    "SMALLINT": ("32767",),
    "INTEGER": ("5", "-5", "1_000"),
    "BIGINT": ("9223372036854775807",),
    "HUGEINT": ("-170141183460469231731687303715884105728", "1e3"),
    "UTINYINT": ("255",),
    "USMALLINT": ("0",),
    "UINTEGER": ("0",),
    "UBIGINT": ("18446744073709551615",),
    "FLOAT": ("0.5", "-2"),
    "DOUBLE": ("0.1", "1e308", "7"),
    "DECIMAL(9,2)": ("2.5", "-9999999.99", "1.500"),
    "VARCHAR": ("'it''s'", "'5'", "''"),
    "BOOLEAN": ("TRUE", "FALSE"),
    "DATE": ("'2026-03-01'", "DATE '2026-03-01'"),
    "TIME": ("'12:30:00'", "TIME '12:30:00'"),
    "UUID": ("'0b9c9a1e-6b1c-4f8e-9d5e-0f3a3c1f2b4d'",),
    "TIMESTAMP": ("'2026-03-01 12:00:00'", "TIMESTAMP '2026-03-01 12:00:00'", "'2026-03-01'"),
    "TIMESTAMP WITH TIME ZONE": (
        "'2026-03-01T12:00:00Z'",
        "TIMESTAMPTZ '2026-03-01 12:00:00+01:00'",
    ),
    "TIMESTAMP_S": ("'2026-03-01 12:00:00'",),
    "TIMESTAMP_MS": ("'2026-03-01 12:00:00.125'",),
    "TIMESTAMP_NS": ("'2026-03-01 12:00:00.000001'",),
}
MISFITS = {
    "TINYINT": ("128", "2.5", "'5'", "TRUE", "NULL", "1e400"),
    "BIGINT": ("9223372036854775808", "0.5", "DATE '2026-03-01'", "5::BIGINT"),
    "UINTEGER": ("-1",),
    "DOUBLE": ("'1'", "1e309", "1e-400", "0.1234567890123456789", "1e999999999"),
    "FLOAT": ("1e39",),
    "DECIMAL(9,2)": ("2.555", "100000000", "'1'"),
    "VARCHAR": ("5", "TRUE", "DATE '2026-03-01'", "x'00'"),
    "BOOLEAN": ("1", "'true'"),
    "DATE": ("5", "'soon'", "'2026-03-01 12:00:00'", "'infinity'", "CURRENT_DATE", "today()"),
    "TIMESTAMP": ("'2026-03-01T12:00:00Z'", "'epoch'"),
    "TIMESTAMP WITH TIME ZONE": ("'2026-03-01 12:00:00'",),
    "UUID": ("'x'",),
    "BLOB": ("'x'", "$1"),
    "VARCHAR[]": ("['x']", "$1"),
    "STRUCT(a INTEGER)": ("{'a': 1}", "$1"),
    "INTERVAL": ("INTERVAL 1 DAY", "$1"),
}
PAIRS = [(type_, constant) for type_, constants in FITTING.items() for constant in constants]
MISFIT_PAIRS = [(type_, constant) for type_, constants in MISFITS.items() for constant in constants]


def asked(constant: str) -> str:
    return f"SELECT count(*) AS n FROM people WHERE x = {constant}"


@pytest.mark.parametrize(("type_", "constant"), PAIRS)
def test_a_constant_is_written_as_a_value_of_the_columns_type(type_: str, constant: str) -> None:
    written = text_of(limited(asked(constant), grouped({"x": type_}, keys=())).tree)
    (value,) = written.split("people.x = ")[1].rsplit(") HAVING", 1)[0:1]
    row = duckdb.execute(
        f"SELECT typeof({value}), {value} = CAST({constant} AS {type_})"
    ).fetchone()
    assert row == (type_, True)


@pytest.mark.parametrize(("type_", "constant"), MISFIT_PAIRS)
def test_what_is_no_value_of_the_columns_type_refuses(type_: str, constant: str) -> None:
    with pytest.raises(StatementAggregatesOnly):
        runs(asked(constant), grouped({"x": type_}, keys=()))


@pytest.mark.parametrize("type_", FITTING)
def test_a_parameter_is_taken_as_a_value_of_the_type(type_: str) -> None:
    made = limited(asked("$1"), grouped({"x": type_}, keys=()))
    assert made.uses == (ParameterUse(1, type_),)
    text = text_of(made.tree)
    assert "TRY_CAST($1 AS " in text
    duckdb.execute(f"EXPLAIN SELECT {text.split('= ')[1].split(') HAVING')[0]}", [None])


GOOD = {
    "BIGINT": (5, Decimal(5)),
    "INTEGER": (5,),
    "DOUBLE": (0.1, 5, Decimal("0.5")),
    "DECIMAL(9,2)": (2.5, Decimal("2.50"), 7),
    "VARCHAR": ("x", ""),
    "BOOLEAN": (True,),
    "DATE": (date(2026, 3, 1), "2026-03-01"),
    "TIME": (time(12, 30),),
    "TIMESTAMP": (NOON, date(2026, 3, 1)),
    "TIMESTAMP WITH TIME ZONE": (NOON.replace(tzinfo=UTC),),
}
BAD = {
    "BIGINT": (2.5, "5", True, 2**63, Decimal("0.5"), b"5"),
    "INTEGER": (2**31,),
    "DOUBLE": ("1", float("inf"), float("nan"), Decimal("0.1234567890123456789")),
    "DECIMAL(9,2)": (2.555, Decimal("1e9"), Decimal("NaN")),
    "VARCHAR": (5, b"x", 1.5),
    "BOOLEAN": (1, "true"),
    "DATE": (5, NOON, "soon"),
    "TIMESTAMP": (NOON.replace(tzinfo=UTC),),
    "TIMESTAMP WITH TIME ZONE": (NOON,),
}


@pytest.mark.parametrize(
    ("type_", "value"), [(type_, value) for type_, values in GOOD.items() for value in values]
)
def test_a_bound_value_of_the_type_passes(type_: str, value: object) -> None:
    check_values((ParameterUse(2, type_),), [None, value])


@pytest.mark.parametrize(
    ("type_", "value"), [(type_, value) for type_, values in BAD.items() for value in values]
)
def test_a_bound_value_of_another_type_refuses_without_telling_it(
    type_: str, value: object
) -> None:
    with pytest.raises(StatementParametersInvalid) as caught:
        check_values((ParameterUse(1, type_),), [value])
    assert f"compared with a {type_}" in caught.value.message
    assert repr(value) not in caught.value.message.replace("Parameter 1 ", "")


def test_null_is_a_value_of_every_type() -> None:
    check_values([ParameterUse(1, type_) for type_ in FITTING], [None])


def test_one_parameter_may_stand_for_several_types() -> None:
    made = limited("SELECT count(*) FROM people WHERE age = $1 OR fee = $1 AND name = $2")
    assert made.uses == (
        ParameterUse(1, "DECIMAL(9,2)"),
        ParameterUse(1, "INTEGER"),
        ParameterUse(2, "VARCHAR"),
    )
    check_values(made.uses, [5, "ana"])
    with pytest.raises(StatementParametersInvalid):
        check_values(made.uses, [2.5, "ana"])
