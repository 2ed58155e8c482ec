"""The conditions that hold a group to its least size."""

from collections.abc import Sequence

from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.groups import trees
from domain_agent.enforcement.groups.aggregates import COUNT_ROWS, Aggregate
from domain_agent.enforcement.groups.table import Table


def size_conditions(table: Table, aggregates: Sequence[Aggregate]) -> list[Tree]:
    """That the group is large enough, and also what each aggregate is of where it skips NULL.

    A group of many persons may have a value of one only: so the persons who have one are counted.
    """
    columns: list[Tree] = []
    for aggregate in aggregates:
        if aggregate.column is not None and aggregate.column not in columns:
            columns.append(aggregate.column)
    keys = [table.reference(key) for key in table.dataset.rule.keys]
    if keys:
        counts = [trees.function("count", [key], distinct=True) for key in keys]
        counts += [_persons(key, column) for column in columns for key in keys if column != key]
    else:
        counts = [trees.function(COUNT_ROWS, [])]
        counts += [trees.function("count", [column]) for column in columns]
    least = trees.integer(table.dataset.rule.size)
    return [trees.comparison("COMPARE_GREATERTHANOREQUALTO", count, least) for count in counts]


def _persons(key: Tree, column: Tree) -> Tree:
    """How many persons have a value in the column."""
    valued = trees.operator("OPERATOR_IS_NOT_NULL", [column])
    return trees.function("count", [key], distinct=True, where=valued)
