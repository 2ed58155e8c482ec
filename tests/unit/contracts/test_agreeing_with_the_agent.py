"""What lint lets pass, the agent can do: the same masks, types and comparisons for every type."""

import pytest

from domain_agent.enforcement import masks, types
from domain_agent.enforcement.literals import typed
from mesh.contracts.comparing import misfit
from mesh.contracts.masks import masks_fitting
from mesh.contracts.types import Family, family_of
from mesh.filters import Comparison, Operator, Scalar
from mesh.masks import Mask

LOGICAL = {
    Family.TEXT: "string",
    Family.INTEGER: "integer",
    Family.NUMBER: "number",
    Family.BOOLEAN: "boolean",
    Family.DATE: "date",
    Family.TIMESTAMP: "timestamp",
    Family.TIME: "time",
    Family.OTHER: "string",
}
SPELLINGS = [
    *("VARCHAR", "text", "String", "CHAR", "BPCHAR", "NVARCHAR", "VARCHAR(20)", "varchar ( 3 )"),
    *("BOOLEAN", "bool", "LOGICAL", "DATE", "DATE32", "TIME"),
    *("TINYINT", "INT1", "BYTE", "SMALLINT", "INT2", "INT16", "SHORT", "INTEGER", "INT", "INT4"),
    *("INT32", "SIGNED", "BIGINT", "INT8", "INT64", "LONG", "HUGEINT", "INT128"),
    *("UTINYINT", "UINT8", "USMALLINT", "UINT16", "UINTEGER", "UINT32", "UBIGINT", "UINT64"),
    *("FLOAT", "REAL", "FLOAT4", "FLOAT32", "DOUBLE", "FLOAT8", "FLOAT64", "double  precision"),
    *("DECIMAL(9,2)", "NUMERIC(38, 10)", "DEC(4)", "DECIMAL(39,1)", "DECIMAL", "DECIMAL(9,2)[]"),
    *("TIMESTAMP", "DATETIME", "TIMESTAMP WITHOUT TIME ZONE", "TIMESTAMP_S", "TIMESTAMP_MS"),
    *("TIMESTAMP_NS", "TIMESTAMPTZ", "TIMESTAMP WITH TIME ZONE", "TIMESTAMP_NTZ"),
    *("BLOB", "UUID", "JSON", "STRUCT(a INTEGER)", "VARCHAR[]", "MAP(VARCHAR, INTEGER)", "POINT"),
]
VALUES: list[Scalar] = [
    *("", "a", "ä'\"", True, False, 0, 1, -1, 127, 128, -129, 255, 256, 32_768, 65_536),
    *(2**31 - 1, 2**31, -(2**31) - 1, 2**32, 2**53 - 1, -(2**53) + 1),
    *(0.0, -0.0, 1.5, 0.25, 0.125, 1e6, 12345678.25, 1e-9, 3.0, -99.99),
    *("2013-12-31", "2013-02-30", "31.12.2013", "20131231", "2013-12-31T10:00", "1500-01-01"),
    *("2013-12-31T10:00:00Z", "2013-12-31 10:00:00", "2013-12-31T10:00:00.123"),
    *("2013-12-31T10:00:00.123456", "2013-12-31T10:00:00.100000", "2013-12-31T10:00:00+02:00"),
    *("2013-12-31T25:00:00", "2013-12-31Z", "2013-W01-1", "10:00", "10:00:00.5", "24:00:00"),
    *("10:00:00Z", "2013-12-31T10:00:00.1234567", "٢٠١٣-12-31"),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_mask_fits_a_type_when_the_agent_can_apply_it(spelling: str) -> None:
    column_type = types.canonical(spelling) or "STRUCT(a INTEGER)"
    applicable = [mask for mask in Mask if masks.applies(mask, column_type)]

    assert list(masks_fitting(LOGICAL[family_of("string", spelling)], spelling)) == applicable


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_value_is_compared_with_a_type_when_the_agent_can_compare_it(spelling: str) -> None:
    column_type = types.canonical(spelling)
    family = family_of("string", spelling)
    if family is Family.OTHER:
        column_type = None

    for value in VALUES:
        wrong = misfit(Comparison("x", Operator.EQ, value), LOGICAL[family], spelling)
        applicable = column_type is not None and typed(value, column_type) is not None
        assert (wrong is None) == applicable, (value, wrong)
