"""Conditions that can't fail on any row: a failure would tell of that row."""

from collections.abc import Callable
from dataclasses import dataclass

from domain_agent.enforcement import types
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.groups import trees
from domain_agent.enforcement.groups.constants import Constants
from domain_agent.enforcement.groups.values import Operand
from mesh.errors import StatementAggregatesOnly

LIKES = frozenset({"~~", "!~~", "~~*", "!~~*"})
_CONDITIONS = frozenset({"COMPARISON", "CONJUNCTION", "BETWEEN", "OPERATOR"})
_MIRRORED = {
    "COMPARE_LESSTHAN": "COMPARE_GREATERTHAN",
    "COMPARE_GREATERTHAN": "COMPARE_LESSTHAN",
    "COMPARE_LESSTHANOREQUALTO": "COMPARE_GREATERTHANOREQUALTO",
    "COMPARE_GREATERTHANOREQUALTO": "COMPARE_LESSTHANOREQUALTO",
}


def is_condition(raw: object) -> bool:
    """Whether an expression has the outer form of a condition."""
    match raw:
        case {"class": str(class_)} if class_ in _CONDITIONS:
            return True
        case {"class": "FUNCTION", "function_name": str(name)}:
            return name in LIKES
        case _:
            return False


@dataclass(frozen=True, slots=True)
class Conditions:
    """Writes the conditions of one clause anew; `operand` finds what they may look at."""

    operand: Callable[[object], Operand | None]
    constants: Constants
    broken: Callable[[str], StatementAggregatesOnly]

    def tree(self, raw: object) -> Tree:
        """The condition, of the allowed parts alone. Raises StatementAggregatesOnly."""
        match raw:
            case {"class": "CONJUNCTION", "type": str(kind), "children": [*children]}:
                return trees.conjunction(kind, [self.tree(child) for child in children])
            case {"class": "OPERATOR", "type": "OPERATOR_NOT", "children": [inner]}:
                return trees.operator("OPERATOR_NOT", [self.tree(inner)])
        return self._test(raw)

    def _test(self, raw: object) -> Tree:
        """One test of one operand."""
        match raw:
            case {
                "class": "OPERATOR",
                "type": "OPERATOR_IS_NULL" | "OPERATOR_IS_NOT_NULL" as kind,
                "children": [inner],
            }:
                return trees.operator(kind, [self._found(inner).tree])
            case {
                "class": "OPERATOR",
                "type": "COMPARE_IN" | "COMPARE_NOT_IN" as kind,
                "children": [first, *members],
            } if members:
                return self._in(kind, first, members)
            case {"class": "BETWEEN", "input": inner, "lower": lower, "upper": upper}:
                found = self._found(inner)
                ends = (self._value(end, found) for end in (lower, upper))
                return trees.between(found.tree, *ends)
            case {"class": "COMPARISON", "type": str(kind), "left": left, "right": right}:
                return self._comparison(kind, left, right)
            case {"class": "FUNCTION", "function_name": str(name), "arguments": [left, right]} if (
                name in LIKES
            ):
                return self._like(name, left, right)
            case _:
                return self._flag(raw)

    def _in(self, kind: str, first: object, members: list[object]) -> Tree:
        found = self._found(first)
        return trees.operator(kind, [found.tree, *(self._value(one, found) for one in members)])

    def _comparison(self, kind: str, left: object, right: object) -> Tree:
        found = self.operand(left)
        if found is None:
            found = self._found(right)
            kind, right = _MIRRORED.get(kind, kind), left
        return trees.comparison(kind, found.tree, self._value(right, found))

    def _like(self, name: str, left: object, right: object) -> Tree:
        match left, right:
            case {"expression": operand}, {"expression": pattern}:
                found = self._found(operand)
                if found.type == types.VARCHAR:
                    arguments = [found.tree, self._value(pattern, found)]
                    return trees.function(name, arguments, is_operator=True)
        raise self.broken("LIKE takes a column of text")

    def _flag(self, raw: object) -> Tree:
        found = self._found(raw)
        if found.type != types.BOOLEAN:
            raise self.broken(f"a {found.type} alone is no condition")
        return found.tree

    def _found(self, raw: object) -> Operand:
        found = self.operand(raw)
        if found is None:
            raise self.broken(
                "a condition has another part than comparisons with constants, IN, BETWEEN, LIKE,"
                " IS NULL, AND, OR and NOT"
            )
        return found

    def _value(self, raw: object, found: Operand) -> Tree:
        return self.constants.value(raw, found.type, self.broken)
