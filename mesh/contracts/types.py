"""Column types: the kinds that masks and filters tell apart, and how DuckDB's types belong to them.

`logicalType` is ODCS's word, `physicalType` a DuckDB type in any of its spellings.
"""

import re
from enum import StrEnum


class Family(StrEnum):
    """A kind of type, as far as masks and filters care."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"
    TIMESTAMP = "timestamp"
    TIME = "time"
    OTHER = "other"


ZONED = "TIMESTAMP WITH TIME ZONE"
INTEGER_BITS = {
    "TINYINT": 8,
    "SMALLINT": 16,
    "INTEGER": 32,
    "BIGINT": 64,
    "HUGEINT": 128,
}
UNSIGNED_BITS = {"UTINYINT": 8, "USMALLINT": 16, "UINTEGER": 32, "UBIGINT": 64}
_LOGICAL = {
    "string": Family.TEXT,
    "integer": Family.INTEGER,
    "number": Family.NUMBER,
    "boolean": Family.BOOLEAN,
    "date": Family.DATE,
    "timestamp": Family.TIMESTAMP,
    "time": Family.TIME,
}
_FAMILIES = {
    "VARCHAR": Family.TEXT,
    **dict.fromkeys((*INTEGER_BITS, *UNSIGNED_BITS), Family.INTEGER),
    **dict.fromkeys(("FLOAT", "DOUBLE", "DECIMAL"), Family.NUMBER),
    "BOOLEAN": Family.BOOLEAN,
    "DATE": Family.DATE,
    "TIME": Family.TIME,
    **dict.fromkeys(("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"), Family.TIMESTAMP),
    **dict.fromkeys(("TIMESTAMP_NS", ZONED), Family.TIMESTAMP),
}
_SPELLINGS = {
    "VARCHAR": ("STRING", "TEXT", "CHAR", "BPCHAR", "NVARCHAR"),
    "BOOLEAN": ("BOOL", "LOGICAL"),
    "TINYINT": ("INT1", "BYTE"),
    "SMALLINT": ("INT2", "INT16", "SHORT"),
    "INTEGER": ("INT", "INT4", "INT32", "SIGNED"),
    "BIGINT": ("INT8", "INT64", "LONG"),
    "HUGEINT": ("INT128",),
    "UTINYINT": ("UINT8",),
    "USMALLINT": ("UINT16",),
    "UINTEGER": ("UINT32",),
    "UBIGINT": ("UINT64",),
    "FLOAT": ("FLOAT4", "REAL", "FLOAT32"),
    "DOUBLE": ("FLOAT8", "FLOAT64", "DOUBLE PRECISION"),
    "DATE": ("DATE32",),
    "TIMESTAMP": ("DATETIME", "TIMESTAMP WITHOUT TIME ZONE", "TIMESTAMP_NTZ"),
    ZONED: ("TIMESTAMPTZ", "TIMESTAMP_TZ", "TIMESTAMP_LTZ"),
}
_BY_SPELLING = {word: name for name, words in _SPELLINGS.items() for word in words}
_LENGTH = re.compile(r"(?:VARCHAR|CHAR|NVARCHAR|BPCHAR) ?\( ?\d+ ?\)")
_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC|DEC) ?\( ?(\d{1,2}) ?(?:, ?(\d{1,2}) ?)?\)")


def logical_family(logical_type: str) -> Family:
    """The family that a logicalType names."""
    return _LOGICAL.get(logical_type, Family.OTHER)


def canonical(physical_type: str) -> str | None:
    """DuckDB's own name of a type, parameters aside; None for one that masks don't know."""
    words = " ".join(physical_type.upper().split())
    if _LENGTH.fullmatch(words):
        return "VARCHAR"
    if decimal_size(physical_type) is not None:
        return "DECIMAL"
    name = _BY_SPELLING.get(words, words)
    return name if name in _FAMILIES and name != "DECIMAL" else None


def decimal_size(physical_type: str) -> tuple[int, int] | None:
    """Precision and scale of a decimal type; None for any other."""
    match = _DECIMAL.fullmatch(" ".join(physical_type.upper().split()))
    if match is None:
        return None
    precision, scale = int(match[1]), int(match[2] or 0)
    return (precision, scale) if 1 <= precision <= 38 and scale <= precision else None


def family_of(logical_type: str, physical_type: str | None) -> Family:
    """The family of a column: its physicalType's where it has one."""
    if physical_type is None:
        return logical_family(logical_type)
    name = canonical(physical_type)
    return _FAMILIES[name] if name else Family.OTHER


def types_agree(logical_type: str, physical_type: str) -> bool:
    """Whether a physicalType may hold the logicalType; types that are not known may."""
    logical, physical = logical_family(logical_type), family_of(logical_type, physical_type)
    if Family.OTHER in (logical, physical) or logical is physical:
        return True
    return logical is Family.NUMBER and physical is Family.INTEGER
