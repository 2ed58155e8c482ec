"""Row filters as SQL conditions: every value typed by the column it is compared with."""

from collections.abc import Mapping

from domain_agent.enforcement import types
from domain_agent.enforcement.literals import typed
from mesh.filters import Both, Comparison, Either, Filter, Negation, Operator, Scalar

_SIGNS = {
    Operator.EQ: "=",
    Operator.NE: "<>",
    Operator.LT: "<",
    Operator.LE: "<=",
    Operator.GT: ">",
    Operator.GE: ">=",
}
_SCANNED = frozenset(_SIGNS)
_SCANNED_TYPES = frozenset({"VARCHAR", "INTEGER", "BIGINT", "DATE", "TIMESTAMP"})


class Inapplicable(Exception):
    """The filter can't be applied; the message names columns and types, never values."""


def condition(filter_: Filter, columns: Mapping[str, tuple[str, str]]) -> str:
    """The SQL of a filter over columns given as name -> (reference, type).

    Raises Inapplicable for an unknown column, an operator that a type doesn't have, or a value
    that is none of the column's type.
    """
    match filter_:
        case Comparison():
            return _comparison(filter_, columns)
        case Negation(filter=inner):
            return f"(NOT {condition(inner, columns)})"
        case Both(filters=parts):
            return "(" + " AND ".join(condition(part, columns) for part in parts) + ")"
        case Either(filters=parts):
            return "(" + " OR ".join(condition(part, columns) for part in parts) + ")"


def kept_by_scan(filter_: Filter, columns: Mapping[str, tuple[str, str]]) -> bool:
    """Whether a Parquet scan itself applies all of the filter, before any other expression.

    Only comparisons with one constant are; DuckDB keeps the rest as filters of their own, which
    its optimizer may evaluate after a reader's.
    """
    match filter_:
        case Comparison(column=column, operator=operator):
            return operator in _SCANNED and columns[column][1] in _SCANNED_TYPES
        case Both(filters=parts):
            return all(kept_by_scan(part, columns) for part in parts)
        case _:
            return False


def _comparison(comparison: Comparison, columns: Mapping[str, tuple[str, str]]) -> str:
    operator, value = comparison.operator, comparison.value
    if comparison.column not in columns:
        raise Inapplicable(f"it compares {comparison.column!r}, which is no column of the dataset")
    reference, column_type = columns[comparison.column]
    if operator is Operator.IS_NULL:
        return f"({reference} IS {'' if value is True else 'NOT '}NULL)"
    if operator is Operator.STARTS_WITH and column_type != types.VARCHAR:
        raise Inapplicable(f"starts_with takes text, and {comparison.column!r} is {column_type}")
    if isinstance(value, tuple):
        members = ", ".join(_literal(comparison.column, member, column_type) for member in value)
        return f"({reference} IN ({members}))"
    literal = _literal(comparison.column, value, column_type)
    if operator is Operator.STARTS_WITH:
        return f"starts_with({reference}, {literal})"
    return f"({reference} {_SIGNS[operator]} {literal})"


def _literal(column: str, value: Scalar, column_type: str) -> str:
    literal = typed(value, column_type)
    if literal is None:
        raise Inapplicable(f"a value compared with {column!r} is none of {column_type}")
    return literal
