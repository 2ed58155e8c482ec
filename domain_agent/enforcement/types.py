"""Column types: how contracts spell them, and which of DuckDB's belong to a logical type."""

import re

from mesh.contracts.values import Column

VARCHAR = "VARCHAR"
BOOLEAN = "BOOLEAN"
BIGINT = "BIGINT"
FLOAT = "FLOAT"
DOUBLE = "DOUBLE"
DATE = "DATE"
TIME = "TIME"
TIMESTAMP = "TIMESTAMP"
TIMESTAMP_TZ = "TIMESTAMP WITH TIME ZONE"
UUID = "UUID"
BLOB = "BLOB"

TIMESTAMPS = (TIMESTAMP, TIMESTAMP_TZ, "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS")
INTEGERS = {
    "TINYINT": (-(2**7), 2**7 - 1),
    "SMALLINT": (-(2**15), 2**15 - 1),
    "INTEGER": (-(2**31), 2**31 - 1),
    BIGINT: (-(2**63), 2**63 - 1),
    "HUGEINT": (-(2**127), 2**127 - 1),
    "UTINYINT": (0, 2**8 - 1),
    "USMALLINT": (0, 2**16 - 1),
    "UINTEGER": (0, 2**32 - 1),
    "UBIGINT": (0, 2**64 - 1),
}
_SCALARS = frozenset(
    {VARCHAR, BOOLEAN, FLOAT, DOUBLE, DATE, TIME, UUID, BLOB, *TIMESTAMPS, *INTEGERS}
)
_ALIASES = {
    **dict.fromkeys(("STRING", "TEXT", "CHAR", "BPCHAR", "NVARCHAR"), VARCHAR),
    **dict.fromkeys(("BOOL", "LOGICAL"), BOOLEAN),
    **dict.fromkeys(("INT1", "BYTE"), "TINYINT"),
    **dict.fromkeys(("INT2", "INT16", "SHORT"), "SMALLINT"),
    **dict.fromkeys(("INT", "INT4", "INT32", "SIGNED"), "INTEGER"),
    **dict.fromkeys(("INT8", "INT64", "LONG"), BIGINT),
    "INT128": "HUGEINT",
    "UINT8": "UTINYINT",
    "UINT16": "USMALLINT",
    "UINT32": "UINTEGER",
    "UINT64": "UBIGINT",
    **dict.fromkeys(("FLOAT4", "REAL", "FLOAT32"), FLOAT),
    **dict.fromkeys(("FLOAT8", "FLOAT64", "DOUBLE PRECISION"), DOUBLE),
    **dict.fromkeys(("DATETIME", "TIMESTAMP WITHOUT TIME ZONE", "TIMESTAMP_NTZ"), TIMESTAMP),
    **dict.fromkeys(("TIMESTAMPTZ", "TIMESTAMP_TZ", "TIMESTAMP_LTZ"), TIMESTAMP_TZ),
    "DATE32": DATE,
    **dict.fromkeys(("BYTEA", "BINARY", "VARBINARY"), BLOB),
}
_LENGTH = re.compile(r"(VARCHAR|CHAR|NVARCHAR|BPCHAR) ?\( ?\d+ ?\)")
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC|DEC) ?\( ?(\d{1,2}) ?(?:, ?(\d{1,2}) ?)?\)")
_DEFAULTS = {
    "string": VARCHAR,
    "integer": BIGINT,
    "number": DOUBLE,
    "boolean": BOOLEAN,
    "date": DATE,
    "time": TIME,
    "timestamp": TIMESTAMP,
}
_FAMILIES = {
    "string": {VARCHAR, UUID, BLOB},
    "integer": set(INTEGERS),
    "number": {FLOAT, DOUBLE, *INTEGERS},
    "boolean": {BOOLEAN},
    "date": {DATE},
    "time": {TIME},
    "timestamp": set(TIMESTAMPS),
}


def decimal(type_: str) -> tuple[int, int] | None:
    """Precision and scale of a decimal type, None for any other."""
    match = _DECIMAL.fullmatch(type_)
    if match is None:
        return None
    precision, scale = int(match[1]), int(match[2] or 0)
    return (precision, scale) if 1 <= precision <= 38 and scale <= precision else None


def canonical(spelling: str) -> str | None:
    """DuckDB's own spelling of a scalar type, None for what is no scalar type of ours."""
    words = " ".join(spelling.upper().split())
    if words in _SCALARS:
        return words
    if words in _ALIASES:
        return _ALIASES[words]
    if _LENGTH.fullmatch(words):
        return VARCHAR
    size = decimal(words)
    return None if size is None else f"DECIMAL({size[0]},{size[1]})"


def declared(column: Column) -> str | None:
    """The one type a contract fixes for a column, None where it fixes only a family."""
    if column.physical_type is None:
        return None
    return canonical(column.physical_type) or " ".join(column.physical_type.upper().split())


def assumed(column: Column) -> str | None:
    """The type of a column in a format that has no types, None where there is no such type."""
    if column.physical_type is not None:
        return canonical(column.physical_type)
    return _DEFAULTS.get(column.logical_type)


def fits(type_: str, column: Column) -> bool:
    """Whether a source's column of this type is what the contract declares."""
    fixed = declared(column)
    return (fixed is None or fixed == type_.upper()) and _in_family(type_, column.logical_type)


def _in_family(type_: str, logical: str) -> bool:
    if logical == "array":
        return type_.endswith("]")
    if logical == "object":
        whole = type_.startswith(("STRUCT(", "MAP(")) and type_.endswith(")")
        return whole or type_ == "JSON"
    if logical == "number" and decimal(type_) is not None:
        return True
    return type_ in _FAMILIES.get(logical, ())
