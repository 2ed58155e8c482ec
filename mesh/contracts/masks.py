"""Which masks fit which columns: types, the library's floors, and what a column ends up with."""

import re
from enum import StrEnum

from mesh.contracts.values import Classification, Column
from mesh.decisions.values import Mask


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


_LOGICAL = {
    "string": Family.TEXT,
    "integer": Family.INTEGER,
    "number": Family.NUMBER,
    "boolean": Family.BOOLEAN,
    "date": Family.DATE,
    "timestamp": Family.TIMESTAMP,
    "time": Family.TIME,
}
_PHYSICAL = {
    Family.TEXT: ("VARCHAR", "TEXT", "STRING", "CHAR", "BPCHAR"),
    Family.INTEGER: (
        *("TINYINT", "SMALLINT", "INTEGER", "INT", "BIGINT", "HUGEINT", "INT1", "INT2", "INT4"),
        *("INT8", "LONG", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT", "UHUGEINT"),
    ),
    Family.NUMBER: ("DOUBLE", "FLOAT", "REAL", "DECIMAL", "NUMERIC", "FLOAT4", "FLOAT8"),
    Family.BOOLEAN: ("BOOLEAN", "BOOL"),
    Family.DATE: ("DATE",),
    Family.TIMESTAMP: (
        *("TIMESTAMP", "DATETIME", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"),
        *("TIMESTAMP WITH TIME ZONE", "TIMESTAMPTZ"),
    ),
    Family.TIME: ("TIME", "TIMETZ", "TIME WITH TIME ZONE"),
}
_BY_NAME = {name: family for family, names in _PHYSICAL.items() for name in names}
_WIDE_INTEGERS = frozenset({"BIGINT", "INT8", "LONG"})
_SCALARS = frozenset(Family) - {Family.TIME, Family.OTHER}
_EVERY = frozenset(Family)
_FITS = {
    Mask.CLEAR: _EVERY,
    Mask.GENERALISE: frozenset({Family.DATE, Family.TIMESTAMP, Family.INTEGER, Family.NUMBER}),
    Mask.PARTIAL: frozenset({Family.TEXT}),
    Mask.PSEUDONYM: frozenset({Family.TEXT, Family.INTEGER}),
    Mask.CONSTANT: _SCALARS,
    Mask.NULL: _EVERY,
    Mask.DROP: _EVERY,
}
_FLOORS = {
    Classification.PUBLIC: Mask.CLEAR,
    Classification.INTERNAL: Mask.CLEAR,
    Classification.CONFIDENTIAL: Mask.GENERALISE,
    Classification.RESTRICTED: Mask.PSEUDONYM,
}
_UNDECLARED = {
    Classification.PUBLIC: Mask.CLEAR,
    Classification.INTERNAL: Mask.CLEAR,
    Classification.CONFIDENTIAL: Mask.NULL,
    Classification.RESTRICTED: Mask.DROP,
}
_ORDER = list(Mask)
_PARAMETERS = re.compile(r"([A-Za-z0-9_ ]+?)\s*(?:\([0-9, ]*\))?")


def logical_family(logical_type: str) -> Family:
    """The family that an ODCS logicalType names."""
    return _LOGICAL.get(logical_type, Family.OTHER)


def physical_family(physical_type: str) -> Family | None:
    """The family of a DuckDB type, parameters aside; None for a type that masks don't know."""
    return _BY_NAME.get(_bare(physical_type))


def types_agree(logical_type: str, physical_type: str) -> bool:
    """Whether a physicalType may hold the logicalType; unknown types may."""
    logical, physical = logical_family(logical_type), physical_family(physical_type)
    if logical is Family.OTHER or physical is None or logical is physical:
        return True
    return logical is Family.NUMBER and physical is Family.INTEGER


def masks_fitting(logical_type: str, physical_type: str | None) -> tuple[Mask, ...]:
    """The masks that can be applied to such a column, mildest first."""
    family = logical_family(logical_type)
    if physical_type is not None:
        family = physical_family(physical_type) or Family.OTHER
    narrow = (
        family is Family.INTEGER
        and physical_type is not None
        and _bare(physical_type) not in _WIDE_INTEGERS
    )
    return tuple(
        mask for mask in _ORDER if family in _FITS[mask] and not (narrow and mask is Mask.PSEUDONYM)
    )


def least_mask(classification: Classification, declared: Mask | None) -> Mask:
    """The mask that the library gives a column at least: its floor, or stricter as declared."""
    if declared is None:
        return _UNDECLARED[classification]
    return max(_FLOORS[classification], declared, key=_ORDER.index)


def column_mask(column: Column) -> Mask:
    """The mask that the library gives this column at least."""
    return least_mask(column.classification, Mask(column.mask) if column.mask else None)


def stricter(one: Mask, other: Mask) -> bool:
    """Whether one tells less than the other."""
    return _ORDER.index(one) > _ORDER.index(other)


def _bare(physical_type: str) -> str:
    match = _PARAMETERS.fullmatch(physical_type.strip())
    return " ".join(match[1].upper().split()) if match else ""
