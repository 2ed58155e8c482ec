"""Contract spellings and DuckDB's types."""

import pytest

from domain_agent.enforcement import types
from mesh.contracts.values import Classification, Column


def column(logical: str, physical: str | None = None) -> Column:
    return Column("c", logical, physical, Classification.PUBLIC)


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("varchar(20)", "VARCHAR"),
        ("  text ", "VARCHAR"),
        ("Int64", "BIGINT"),
        ("double precision", "DOUBLE"),
        ("numeric(10, 2)", "DECIMAL(10,2)"),
        ("DECIMAL(5)", "DECIMAL(5,0)"),
        ("timestamptz", "TIMESTAMP WITH TIME ZONE"),
        ("timestamp  with time zone", "TIMESTAMP WITH TIME ZONE"),
    ],
)
def test_spellings_have_one_canonical_form(spelling: str, canonical: str) -> None:
    assert types.canonical(spelling) == canonical


@pytest.mark.parametrize(
    "spelling",
    ["geography", "", "DECIMAL(39,2)", "DECIMAL(3,4)", "VARCHAR); DROP TABLE x", "INTEGER[]"],
)
def test_what_is_no_scalar_type_has_no_canonical_form(spelling: str) -> None:
    assert types.canonical(spelling) is None


@pytest.mark.parametrize(
    ("logical", "physical", "type_", "fits"),
    [
        ("string", None, "VARCHAR", True),
        ("string", None, "BIGINT", False),
        ("string", "varchar(3)", "VARCHAR", True),
        ("string", "uuid", "VARCHAR", False),
        ("integer", None, "HUGEINT", True),
        ("integer", None, "DOUBLE", False),
        ("integer", "int", "INTEGER", True),
        ("integer", "int", "BIGINT", False),
        ("number", None, "DECIMAL(9,2)", True),
        ("number", "decimal(9,3)", "DECIMAL(9,2)", False),
        ("boolean", None, "BOOLEAN", True),
        ("date", None, "TIMESTAMP", False),
        ("timestamp", None, "TIMESTAMP_NS", True),
        ("time", None, "TIME", True),
        ("array", None, "INTEGER[]", True),
        ("array", None, "INTEGER", False),
        ("object", None, "STRUCT(a INTEGER)", True),
        ("object", None, "STRUCT(a INTEGER)[]", False),
        ("object", "struct(A integer)", "STRUCT(a INTEGER)", True),
        ("nonsense", None, "VARCHAR", False),
        ("integer", "varchar", "VARCHAR", False),
    ],
)
def test_a_source_type_fits_only_what_is_declared(
    logical: str, physical: str | None, type_: str, fits: bool
) -> None:
    assert types.fits(type_, column(logical, physical)) is fits


def test_a_format_without_types_takes_the_contracts() -> None:
    assert types.assumed(column("integer")) == "BIGINT"
    assert types.assumed(column("number", "decimal(8,2)")) == "DECIMAL(8,2)"
    assert types.assumed(column("object")) is None
    assert types.assumed(column("string", "geography")) is None
