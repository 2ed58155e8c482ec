"""The select list: groupings and aggregates, nothing else; and what GROUP BY makes of it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from domain_agent.enforcement.gate.names import lowered
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.groups.aggregates import COUNT_ROWS, Aggregate, aggregate_of
from domain_agent.enforcement.groups.conditions import Conditions, is_condition
from domain_agent.enforcement.groups.table import Table

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_PLACE = re.compile(r"[0-9]{1,5}")


@dataclass(frozen=True, slots=True)
class Item:
    """One item: its expression, the name it was given, the name it has, and its aggregate."""

    tree: Tree
    alias: str
    shown: str
    aggregate: Aggregate | None

    def selected(self) -> Tree:
        """The item as it stands in the select list."""
        return {**self.tree, "alias": self.alias or self.shown}


@dataclass(frozen=True, slots=True)
class Reading:
    """Reads the expressions of one query: its table, and conditions on the table's columns."""

    table: Table
    conditions: Conditions

    def items(self, raws: Sequence[object]) -> list[Item]:
        """The select list. Raises StatementAggregatesOnly."""
        return [self._item(raw, place) for place, raw in enumerate(raws, 1)]

    def groups(self, raws: Sequence[object], items: Sequence[Item]) -> list[Tree]:
        """The groupings, each once. Raises StatementAggregatesOnly."""
        groups: list[Tree] = []
        for raw in raws:
            group = self._group(raw, items)
            if group not in groups:
                groups.append(group)
        return groups

    def place(self, raw: object, items: Sequence[Item]) -> int | None:
        """Which item an expression of ORDER BY is; None where it looks at anything else."""
        name, number = _bare_name(raw), _position(raw)
        if number is not None:
            return number if 1 <= number <= len(items) else None
        for place, item in enumerate(items, 1):
            if item.alias and lowered(item.alias) == name:
                return place
        tree = self._tree(raw)
        return next((place for place, item in enumerate(items, 1) if item.tree == tree), None)

    def _item(self, raw: object, place: int) -> Item:
        alias = _alias(raw)
        if _is_call(raw):
            aggregate = aggregate_of(raw, self.table)
            return Item(aggregate.tree, alias, _shown(raw), aggregate)
        tree = self._grouping(raw)
        if tree is None:
            raise self.table.broken(
                f"item {place} of the select list is neither a column of GROUP BY nor an aggregate"
            )
        return Item(tree, alias, "", None)

    def _tree(self, raw: object) -> Tree | None:
        return aggregate_of(raw, self.table).tree if _is_call(raw) else self._grouping(raw)

    def _grouping(self, raw: object) -> Tree | None:
        """A column, or a condition on columns."""
        column = self.table.column(raw)
        if column is not None:
            return column.tree
        return self.conditions.tree(raw) if is_condition(raw) else None

    def _group(self, raw: object, items: Sequence[Item]) -> Tree:
        tree = self._grouping(raw)
        if tree is not None:
            return tree
        name, number = _bare_name(raw), _position(raw)
        for place, item in enumerate(items, 1):
            named = bool(item.alias) and lowered(item.alias) == name
            if item.aggregate is None and (named or place == number):
                return item.tree
        raise self.table.broken(
            "GROUP BY has something else than columns, conditions on them, and items of the select"
            " list that are such"
        )


def _alias(raw: object) -> str:
    match raw:
        case {"alias": str(alias)}:
            return alias
    return ""


def _is_call(raw: object) -> bool:
    return isinstance(raw, dict) and raw.get("class") == "FUNCTION" and not raw.get("is_operator")


def _position(raw: object) -> int | None:
    match raw:
        case {"class": "CONSTANT", "literal": {"kind": "INTEGER", "text": str(text)}}:
            return int(text) if _PLACE.fullmatch(text) else None
    return None


def _bare_name(raw: object) -> str | None:
    match raw:
        case {"class": "COLUMN_REF", "column_names": [str(name)]}:
            return lowered(name)
    return None


def _shown(raw: object) -> str:
    """The name that DuckDB gives an aggregate as it was written."""
    match raw:
        case {
            "function_name": str(function),
            "distinct": bool(distinct),
            "arguments": [{"expression": {"column_names": [*names]}}],
        }:
            path = ".".join(_quoted(str(name)) for name in names)
            return f"{lowered(function)}({'DISTINCT ' if distinct else ''}{path})"
    return f"{COUNT_ROWS}()"


def _quoted(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'
