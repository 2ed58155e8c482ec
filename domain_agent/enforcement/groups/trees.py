"""Parts of a syntax tree, as DuckDB itself would write them down."""

from collections.abc import Sequence

from domain_agent.enforcement import types
from domain_agent.enforcement.gate.values import Tree


def column(path: Sequence[str]) -> Tree:
    """A column by its table's name and its own."""
    return _expression("COLUMN_REF", "COLUMN_REF", column_names=list(path))


def integer(number: int) -> Tree:
    """A whole number."""
    return _constant("INTEGER", str(number))


def cast(text: str, type_: str) -> Tree:
    """A text that is a value of the type, as that value."""
    return _cast(_constant("STRING", text), type_, try_cast=False)


def parameter(number: int, type_: str) -> Tree:
    """A parameter as a value of the type; NULL where it is none, never an error."""
    bare = _expression("PARAMETER", "VALUE_PARAMETER", identifier=str(number))
    return _cast(bare, type_, try_cast=True)


def comparison(kind: str, left: Tree, right: Tree) -> Tree:
    """A comparison."""
    return _expression("COMPARISON", kind, left=left, right=right)


def between(operand: Tree, lower: Tree, upper: Tree) -> Tree:
    """BETWEEN."""
    return _expression("BETWEEN", "COMPARE_BETWEEN", input=operand, lower=lower, upper=upper)


def operator(kind: str, children: Sequence[Tree]) -> Tree:
    """IN, NOT, IS NULL and their like."""
    return _expression("OPERATOR", kind, children=list(children))


def conjunction(kind: str, children: Sequence[Tree]) -> Tree:
    """AND or OR."""
    return _expression("CONJUNCTION", kind, children=list(children))


def function(
    name: str,
    arguments: Sequence[Tree],
    *,
    distinct: bool = False,
    is_operator: bool = False,
    where: Tree | None = None,
) -> Tree:
    """A call; `where` is an aggregate's FILTER."""
    return _expression(
        "FUNCTION",
        "FUNCTION",
        function_name=name,
        schema="",
        filter=where,
        order_bys={"type": "ORDER_MODIFIER", "orders": list[Tree]()},
        distinct=distinct,
        is_operator=is_operator,
        export_state=False,
        catalog="",
        arguments=[{"name": "", "expression": argument} for argument in arguments],
        qualified_name={"path": [name]},
    )


def _cast(child: Tree, type_: str, *, try_cast: bool) -> Tree:
    return _expression(
        "CAST", "OPERATOR_CAST", child=child, try_cast=try_cast, type_expr=_type(type_)
    )


def _type(type_: str) -> Tree:
    size = types.decimal(type_)
    name = type_ if size is None else "DECIMAL"
    return {
        "class": "TYPE",
        "type": "TYPE",
        "alias": "",
        "catalog": "",
        "schema": "",
        "type_name": name,
        "children": [integer(number) for number in size or ()],
        "qualified_name": {"path": [name]},
    }


def _constant(kind: str, text: str) -> Tree:
    return _expression("CONSTANT", "VALUE_CONSTANT", literal={"kind": kind, "text": text})


def _expression(class_: str, type_: str, **parts: object) -> Tree:
    return {"class": class_, "type": type_, "alias": "", **parts}
