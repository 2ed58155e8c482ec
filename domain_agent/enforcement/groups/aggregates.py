"""The aggregates that show no single value, each over a plain column."""

from dataclasses import dataclass

from domain_agent.enforcement import types
from domain_agent.enforcement.gate.names import lowered
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.gate.words import words
from domain_agent.enforcement.groups import trees
from domain_agent.enforcement.groups.table import Table
from mesh.errors import StatementAggregatesOnly

COUNT_ROWS = "count_star"
_COUNT = "count"
_SPREADS = words("stddev stddev_pop stddev_samp variance var_pop var_samp")
_AVERAGES = words("avg mean")
_ALLOWED = frozenset({COUNT_ROWS, _COUNT, "sum"}) | _AVERAGES | _SPREADS
# A sum of more digits could overflow, and that failure would tell of a row.
_MOST_DIGITS = 28


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An allowed aggregate; `column` is what it aggregates, None where it counts rows."""

    tree: Tree
    type: str
    column: Tree | None


def aggregate_of(raw: object, table: Table) -> Aggregate:
    """The aggregate that a function call is. Raises StatementAggregatesOnly."""
    match raw:
        case {"function_name": str(name), "filter": None, "order_bys": {"orders": []}}:
            function = lowered(name)
        case _:
            raise table.broken("an aggregate has FILTER or ORDER BY")
    match raw:
        case {"distinct": bool(distinct), "arguments": [*arguments]}:
            if distinct and function != _COUNT:
                raise table.broken(f"{function} has DISTINCT, which only count may have")
            if function not in _ALLOWED:
                raise table.broken(
                    f"{function} is used, and only count, sum, avg, stddev and variance are allowed"
                )
            return _aggregate(function, distinct, arguments, table)
    raise table.broken("an aggregate is of an unknown form")


def _aggregate(function: str, distinct: bool, arguments: list[object], table: Table) -> Aggregate:
    if function == COUNT_ROWS and not arguments:
        return Aggregate(trees.function(COUNT_ROWS, []), types.BIGINT, None)
    match arguments:
        case [{"name": "", "expression": expression}] if function != COUNT_ROWS:
            operand = table.column(expression)
        case _:
            operand = None
    if operand is None:
        raise table.broken(f"{function} takes one plain column of the dataset, no expression")
    type_ = _type(function, operand.type, table)
    tree = trees.function(function, [operand.tree], distinct=distinct)
    return Aggregate(tree, type_, operand.tree)


def _type(function: str, column_type: str, table: Table) -> str:
    """What the aggregate is of."""
    if function == _COUNT:
        return types.BIGINT
    decimal = types.decimal(column_type)
    whole = column_type in types.INTEGERS
    if not (whole or decimal or column_type in (types.FLOAT, types.DOUBLE)):
        raise _unsummed(function, column_type, table)
    if function in _SPREADS:
        return types.DOUBLE
    if column_type == "HUGEINT" or (decimal is not None and decimal[0] > _MOST_DIGITS):
        raise _unsummed(function, column_type, table)
    if function in _AVERAGES:
        return types.DOUBLE
    if decimal is not None:
        return f"DECIMAL(38,{decimal[1]})"
    return "HUGEINT" if whole else types.DOUBLE


def _unsummed(function: str, column_type: str, table: Table) -> StatementAggregatesOnly:
    return table.broken(
        f"{function} of a {column_type} is not allowed, only of a number of at most"
        f" {_MOST_DIGITS} digits"
    )
