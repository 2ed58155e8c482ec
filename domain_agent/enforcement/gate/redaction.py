"""A statement for evidence: its shape, without the values and words that its writer chose."""

import re
from collections.abc import Iterable, Iterator, Mapping

from domain_agent.enforcement.gate.fields import refused
from domain_agent.enforcement.gate.names import lowered
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.gate.words import words

_KEPT_KINDS = frozenset({"BOOLEAN", "NULL_LITERAL"})
_LARGEST_SIZE = 38
_SHORT = re.compile(r"[0-9]{1,5}")
# The gate takes the texts of these fields from fixed lists; every other text is somebody's word.
_STRUCTURE = words(
    """
    aggregate_handling class comparison_type end exclude_clause identifier join_type limit_type
    materialized nearest_order_type null_order ref_type setop_type start subquery_type syntax_type
    type with_ordinality
    """
)


def redact(tree: Mapping[str, object], parameters: int, known: Iterable[str]) -> Tree:
    """The checked tree without literals, and with no names but the `known` ones.

    Literals become parameters after the first `parameters` ones; TRUE, FALSE, NULL, small sizes
    of types, and positions in GROUP BY and ORDER BY stay. Another name than a known one becomes
    a1, a2, …, the same one everywhere in the statement.
    """
    names = _Names(known)
    redaction = _Redaction(parameters, names, positions=_widest(tree) + names.count)
    copy = redaction.copy_fields(tree)
    for statement in _list(copy["statements"]):
        if isinstance(statement, dict):
            numbers = range(1, redaction.count + 1)
            statement["named_param_map"] = [{"key": str(n), "value": n} for n in numbers]
    return copy


class _Names:
    """Known names as they are declared, and a placeholder for each other one, blind to case."""

    def __init__(self, known: Iterable[str]) -> None:
        self._spelled = {lowered(name): name for name in known}
        self.count = len(self._spelled)
        self._unused = _placeholders(frozenset(self._spelled))

    def shown(self, name: str) -> str:
        if not name:
            return name
        low = lowered(name)
        if low not in self._spelled:
            self._spelled[low] = next(self._unused)
        return self._spelled[low]


def _placeholders(taken: frozenset[str]) -> Iterator[str]:
    number = 0
    while True:
        number += 1
        if (name := f"a{number}") not in taken:
            yield name


class _Redaction:
    def __init__(self, parameters: int, names: _Names, positions: int) -> None:
        self.count = parameters
        self._names, self._positions = names, positions

    def copy(self, value: object) -> object:
        if isinstance(value, str):
            return self._names.shown(value)
        if isinstance(value, list):
            return [self.copy(item) for item in value]
        return self._node(value) if isinstance(value, dict) else value

    def copy_fields(self, node: Mapping[str, object]) -> Tree:
        return {key: self._field(key, value) for key, value in node.items()}

    def _node(self, node: Tree) -> Tree:
        match node.get("class"):
            case "TYPE":
                return self._type(node)
            case "CONSTANT":
                return self._constant(node)
            case "FUNCTION" | "WINDOW":
                return self._call(node)
            case "POSITIONAL_REFERENCE" if not self._is_position(node["index"]):
                return self._parameter(node)
        return (
            self._member(node) if node.get("type") == "STRUCT_EXTRACT" else self.copy_fields(node)
        )

    def _field(self, key: str, value: object) -> object:
        if key in _STRUCTURE:
            return value
        if key in ("orders", "group_expressions"):
            return [self._ordered(item) for item in _list(value)]
        # Only the outermost statement has parameters, and `redact` writes them anew.
        return [] if key == "named_param_map" else self.copy(value)

    def _ordered(self, item: object) -> object:
        """A part of a GROUP BY or ORDER BY, where a bare whole number names a column."""
        match item:
            case {"expression": expression, "type": type_, "null_order": null_order}:
                return {
                    "type": type_,
                    "null_order": null_order,
                    "expression": self._ordered(expression),
                }
            case {
                "class": "CONSTANT",
                "alias": alias,
                "literal": {"kind": "INTEGER", "text": text},
            }:
                number = int(text) if isinstance(text, str) and _SHORT.fullmatch(text) else None
                if self._is_position(number):
                    literal = {"kind": "INTEGER", "text": str(number)}
                    return self._expression("CONSTANT", "VALUE_CONSTANT", alias, literal=literal)
        return self.copy(item)

    def _is_position(self, number: object) -> bool:
        return isinstance(number, int) and 1 <= number <= self._positions

    def _type(self, node: Tree) -> Tree:
        """A cast's target: an allowed type, whose members' names may be anything."""
        name = str(node["type_name"]).upper()
        children = _list(node["children"])
        sizes = [_size(child) for child in children]
        if any(size is not None for size in sizes):
            small = all(size is not None and size <= _LARGEST_SIZE for size in sizes)
            children = children if small else []
        else:
            children = [self.copy(child) for child in children]
        return {
            **node,
            "alias": self.copy(node["alias"]),
            "type_name": name,
            "qualified_name": {"path": [name]},
            "children": children,
        }

    def _call(self, node: Tree) -> Tree:
        name = lowered(str(node["function_name"]))
        fixed = {"function_name": name, "qualified_name": {"path": [name]}}
        return {key: fixed.get(key) or self._field(key, value) for key, value in node.items()}

    def _member(self, node: Tree) -> Tree:
        """A struct's member, whose name is written as a literal."""
        match node["children"]:
            case [struct, {"literal": {"text": str(name)}}]:
                literal = {"kind": "STRING", "text": self.copy(name)}
                member = self._expression("CONSTANT", "VALUE_CONSTANT", "", literal=literal)
                children = [self.copy(struct), member]
                return {**node, "alias": self.copy(node["alias"]), "children": children}
        raise refused("A struct member of such a name")

    def _constant(self, node: Tree) -> Tree:
        literal = node["literal"]
        if isinstance(literal, dict) and literal["kind"] in _KEPT_KINDS:
            return self._expression("CONSTANT", "VALUE_CONSTANT", node["alias"], literal=literal)
        return self._parameter(node)

    def _parameter(self, node: Tree) -> Tree:
        self.count += 1
        number = str(self.count)
        return self._expression("PARAMETER", "VALUE_PARAMETER", node["alias"], identifier=number)

    def _expression(self, class_: str, type_: str, alias: object, **parts: object) -> Tree:
        return {"class": class_, "type": type_, "alias": self.copy(alias), **parts}


def _widest(tree: object) -> int:
    """How many columns the longest select list of a tree names."""
    most, rest = 0, [tree]
    while rest:
        node = rest.pop()
        if isinstance(node, dict):
            most = max(most, len(_list(node.get("select_list"))))
            rest.extend(node.values())
        elif isinstance(node, list):
            rest.extend(node)
    return most


def _size(child: object) -> int | None:
    """A type's size, which the gate holds to four digits; None for a type within a type."""
    match child:
        case {"literal": {"text": str(text)}}:
            return int(text)
    return None


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
