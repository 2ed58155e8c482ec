"""Structured row filters: parsed from documents, never SQL text.

A filter is `{"column", "op", "value"}`, `{"and": [...]}`, `{"or": [...]}` or `{"not": {...}}`.
`in` takes a list, `is_null` a boolean; a comparison with NULL keeps no row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

MAX_DEPTH = 8
MAX_NODES = 64
MAX_LIST = 1_000

Scalar: TypeAlias = str | int | float | bool


class Operator(StrEnum):
    EQ = "eq"
    NE = "ne"
    LT = "lt"
    LE = "le"
    GT = "gt"
    GE = "ge"
    IN = "in"
    STARTS_WITH = "starts_with"
    IS_NULL = "is_null"


@dataclass(frozen=True, slots=True)
class Comparison:
    column: str
    operator: Operator
    value: Scalar | tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class Both:
    """Every one of the filters holds."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of the filters holds."""

    filters: tuple["Filter", ...]


@dataclass(frozen=True, slots=True)
class Negation:
    filter: "Filter"


Filter: TypeAlias = Comparison | Both | Either | Negation


def parse_filter(document: object) -> Filter:
    """The filter that a document states. Raises ValueError that says what is wrong and allowed."""
    return _Parser().parse(document, 0)


def columns_of(filter_: Filter) -> frozenset[str]:
    """Every column the filter looks at."""
    match filter_:
        case Comparison(column=column):
            return frozenset({column})
        case Negation(filter=inner):
            return columns_of(inner)
        case Both(filters=parts) | Either(filters=parts):
            return frozenset().union(*(columns_of(part) for part in parts))


class _Parser:
    def __init__(self) -> None:
        self._nodes = 0

    def parse(self, document: object, depth: int) -> Filter:
        self._nodes += 1
        if depth > MAX_DEPTH or self._nodes > MAX_NODES:
            raise ValueError(f"a filter nests at most {MAX_DEPTH} deep and has {MAX_NODES} parts")
        if not isinstance(document, Mapping):
            raise ValueError("a filter is an object with column, op and value, or and, or, not")
        keys = set(document)
        if keys == {"column", "op", "value"}:
            return _comparison(document)
        if keys == {"not"}:
            return Negation(self.parse(document["not"], depth + 1))
        if keys in ({"and"}, {"or"}):
            (key,) = keys
            parts = document[key]
            if not isinstance(parts, list | tuple) or not parts:
                raise ValueError(f"`{key}` takes a list of at least one filter")
            filters = tuple(self.parse(part, depth + 1) for part in parts)
            return Both(filters) if key == "and" else Either(filters)
        raise ValueError(
            f"a filter has the keys column, op, value, or one of and, or, not; found {sorted(keys)}"
        )


def _comparison(document: Mapping[str, object]) -> Comparison:
    column, value = document["column"], document["value"]
    if not isinstance(column, str) or not column:
        raise ValueError("`column` is the name of a column")
    try:
        operator = Operator(str(document["op"]))
    except ValueError:
        allowed = ", ".join(Operator)
        raise ValueError(f"`op` is one of {allowed}; found {document['op']!r}") from None
    match operator, value:
        case Operator.IS_NULL, bool():
            return Comparison(column, operator, value)
        case Operator.IN, list() | tuple():
            return Comparison(column, operator, _members(value))
        case Operator.STARTS_WITH, str():
            return Comparison(column, operator, value)
        case ((Operator.IS_NULL | Operator.IN | Operator.STARTS_WITH), _):
            wanted = {"is_null": "true or false", "in": "a list", "starts_with": "text"}[operator]
            raise ValueError(f"`{operator}` takes {wanted}; found {value!r}")
        case _, str() | int() | float():
            return Comparison(column, operator, value)
        case _:
            raise ValueError(f"`value` is text, a number or true/false; found {value!r}")


def _members(values: list[object] | tuple[object, ...]) -> tuple[Scalar, ...]:
    if not 1 <= len(values) <= MAX_LIST:
        raise ValueError(f"`in` takes 1 to {MAX_LIST} values")
    members: list[Scalar] = []
    for value in values:
        if not isinstance(value, str | int | float):
            raise ValueError(f"`in` takes text, numbers or true/false; found {value!r}")
        members.append(value)
    return tuple(members)
