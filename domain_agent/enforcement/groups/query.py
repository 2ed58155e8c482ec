"""One query that reads a dataset under the rule: its clauses checked, its HAVING extended."""

from collections.abc import Sequence

from domain_agent.enforcement.gate.names import lowered
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.groups import trees
from domain_agent.enforcement.groups.aggregates import Aggregate, aggregate_of
from domain_agent.enforcement.groups.conditions import Conditions
from domain_agent.enforcement.groups.constants import Constants
from domain_agent.enforcement.groups.endings import endings
from domain_agent.enforcement.groups.items import Item, Reading
from domain_agent.enforcement.groups.sizes import size_conditions
from domain_agent.enforcement.groups.table import Table
from domain_agent.enforcement.groups.values import Operand


def limited_query(node: Tree, ctes: object, table: Table, constants: Constants) -> Tree:
    """The query as it may run, with its copied `ctes`. Raises StatementAggregatesOnly."""
    if node["qualify"] is not None:
        raise table.broken("it has QUALIFY")
    reading = Reading(table, Conditions(table.column, constants, table.broken))
    items = reading.items(_list(node["select_list"]))
    groups = _groups(node, items, reading)
    aggregates = [item.aggregate for item in items if item.aggregate is not None]
    if not groups and not aggregates:
        raise table.broken("it has neither an aggregate nor GROUP BY")
    for place, item in enumerate(items, 1):
        if item.aggregate is None and item.tree not in groups:
            raise table.broken(f"item {place} of the select list is not in GROUP BY")
    where = node["where_clause"]
    return {
        **node,
        "modifiers": endings(_list(node["modifiers"]), items, reading),
        "cte_map": ctes,
        "select_list": [item.selected() for item in items],
        "where_clause": None if where is None else reading.conditions.tree(where),
        "group_expressions": groups,
        "group_sets": [list(range(len(groups)))] if groups else [],
        "aggregate_handling": "STANDARD_HANDLING",
        "having": _having(node["having"], items, table, constants),
    }


def _groups(node: Tree, items: Sequence[Item], reading: Reading) -> list[Tree]:
    written = _list(node["group_expressions"])
    if node["aggregate_handling"] == "FORCE_AGGREGATES":
        groups: list[Tree] = []
        for item in items:
            if item.aggregate is None and item.tree not in groups:
                groups.append(item.tree)
        return groups
    if node["group_sets"] not in ([], [list(range(len(written)))]):
        raise reading.table.broken("it has ROLLUP, CUBE or GROUPING SETS")
    return reading.groups(written, items)


def _having(raw: object, items: Sequence[Item], table: Table, constants: Constants) -> Tree:
    """The query's own condition on its aggregates, and the size of its groups."""
    aggregates = [item.aggregate for item in items if item.aggregate is not None]
    sizes = size_conditions(table, aggregates)
    if raw is None:
        return sizes[0] if len(sizes) == 1 else trees.conjunction("CONJUNCTION_AND", sizes)
    named = {lowered(item.alias): item.aggregate for item in items if item.aggregate is not None}

    def operand(part: object) -> Operand | None:
        found: Aggregate | None = None
        match part:
            case {"class": "FUNCTION", "is_operator": False}:
                found = aggregate_of(part, table)
            case {"class": "COLUMN_REF", "column_names": [str(name)]} if not table.column(part):
                found = named.get(lowered(name))
        if found is None or found not in aggregates:
            raise table.broken("HAVING compares something else than a selected aggregate")
        return Operand(found.tree, found.type)

    own = Conditions(operand, constants, table.broken).tree(raw)
    first = [own]
    if own["type"] == "CONJUNCTION_AND":
        first = [part for part in _list(own["children"]) if isinstance(part, dict)]
    return trees.conjunction("CONJUNCTION_AND", [*first, *sizes])


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
