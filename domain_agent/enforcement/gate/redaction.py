"""A statement for evidence: its shape, without the values that were written into it."""

from collections.abc import Mapping

from domain_agent.enforcement.gate.values import Tree

_KEPT_KINDS = frozenset({"BOOLEAN", "NULL_LITERAL"})


def redact(tree: Mapping[str, object], parameters: int) -> Tree:
    """The tree with its literals replaced by parameters after the first `parameters` ones.

    TRUE, FALSE, NULL, sizes of types, and the positions in GROUP BY and ORDER BY stay.
    """
    redaction = _Redaction(parameters)
    copy = redaction.copy_fields(tree)
    for statement in _list(copy["statements"]):
        if isinstance(statement, dict):
            numbers = range(1, redaction.count + 1)
            statement["named_param_map"] = [{"key": str(n), "value": n} for n in numbers]
    return copy


class _Redaction:
    def __init__(self, parameters: int) -> None:
        self.count = parameters

    def copy(self, value: object) -> object:
        if isinstance(value, list):
            return [self.copy(item) for item in value]
        if not isinstance(value, dict):
            return value
        if value.get("class") == "TYPE":
            return value
        if value.get("class") == "CONSTANT":
            return self._constant(value)
        if value.get("type") == "STRUCT_EXTRACT":
            return self._member(value)
        return self.copy_fields(value)

    def copy_fields(self, node: Mapping[str, object]) -> Tree:
        return {
            key: self._positions(value)
            if key in ("orders", "group_expressions")
            else self.copy(value)
            for key, value in node.items()
        }

    def _positions(self, value: object) -> object:
        """The parts of a GROUP BY or ORDER BY, where a bare whole number names a column."""
        return [item if _is_position(item) else self._order(item) for item in _list(value)]

    def _order(self, item: object) -> object:
        if isinstance(item, dict) and _is_position(item.get("expression")):
            return item
        return self.copy(item)

    def _member(self, node: Tree) -> Tree:
        """A struct's member: its name is written as a literal, and stays as any name does."""
        struct, *name = _list(node["children"])
        return {**node, "children": [self.copy(struct), *name]}

    def _constant(self, node: Tree) -> Tree:
        literal = node["literal"]
        if isinstance(literal, dict) and literal["kind"] in _KEPT_KINDS:
            return node
        self.count += 1
        return {
            "class": "PARAMETER",
            "type": "VALUE_PARAMETER",
            "alias": node["alias"],
            "identifier": str(self.count),
        }


def _is_position(value: object) -> bool:
    if not isinstance(value, dict) or value.get("class") != "CONSTANT":
        return False
    literal = value["literal"]
    return isinstance(literal, dict) and literal["kind"] == "INTEGER" and len(literal["text"]) <= 3


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
