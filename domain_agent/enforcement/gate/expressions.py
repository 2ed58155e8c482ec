"""Expressions: constants, columns, comparisons, casts, subqueries."""

import re
from collections.abc import Mapping

from domain_agent.enforcement.gate.calls import call, window
from domain_agent.enforcement.gate.fields import Fields, opened, refused
from domain_agent.enforcement.gate.functions import CALLS_WITHOUT_BRACKETS
from domain_agent.enforcement.gate.names import Scope, lowered
from domain_agent.enforcement.gate.queries import statement_of
from domain_agent.enforcement.gate.stars import columns
from domain_agent.enforcement.gate.types import check_type
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.gate.walk import MAX_PARAMETERS, Visitor, Walk
from domain_agent.enforcement.gate.words import words
from mesh.errors import StatementFunctionNotAllowed, StatementParametersInvalid

_COMPARISONS = words(
    """
    COMPARE_EQUAL COMPARE_NOTEQUAL COMPARE_LESSTHAN COMPARE_GREATERTHAN COMPARE_LESSTHANOREQUALTO
    COMPARE_GREATERTHANOREQUALTO COMPARE_DISTINCT_FROM COMPARE_NOT_DISTINCT_FROM
    """
)
_CONJUNCTIONS = words("CONJUNCTION_AND CONJUNCTION_OR")
_OPERATORS = words(
    """
    ARRAY_CONSTRUCTOR ARRAY_EXTRACT ARRAY_SLICE COMPARE_IN COMPARE_NOT_IN GROUPING_FUNCTION
    OPERATOR_COALESCE OPERATOR_IS_NOT_NULL OPERATOR_IS_NULL OPERATOR_NOT OPERATOR_TRY
    STRUCT_EXTRACT
    """
)
_SUBQUERIES = frozenset({"ANY", "EXISTS", "SCALAR"})
_LITERALS: Mapping[str, re.Pattern[str]] = {
    "INTEGER": re.compile(r"-?[0-9][0-9_]*"),
    "NUMERIC": re.compile(r"-?(?=\.?[0-9])[0-9_]*\.?[0-9_]*(?:[eE][+-]?[0-9_]+)?"),
    "STRING": re.compile(r"[^\0]*"),
    "BOOLEAN": re.compile(r"[01]|true|false"),
    "NULL_LITERAL": re.compile(r""),
    "HEX": re.compile(r"(?:[0-9A-Fa-f]{2})*"),
}


def _column(_walk: Walk, fields: Fields, _scope: Scope) -> Tree:
    fields.only("type", "COLUMN_REF")
    names = fields.texts("column_names")
    if not names or "" in names:
        raise refused("A column without a name")
    if len(names) == 1 and lowered(names[0]) in CALLS_WITHOUT_BRACKETS:
        raise StatementFunctionNotAllowed(
            f"{lowered(names[0])} is not allowed. If a column has this name, "
            "write its table before it."
        )
    return _expression(fields, "COLUMN_REF", "COLUMN_REF", column_names=names)


def _constant(_walk: Walk, fields: Fields, _scope: Scope) -> Tree:
    fields.only("type", "VALUE_CONSTANT")
    with opened(fields.value("literal"), "A constant of this kind") as literal:
        kind, text = literal.text("kind"), literal.text("text")
    pattern = _LITERALS.get(kind)
    if pattern is None or pattern.fullmatch(text) is None:
        raise refused("A constant of this kind")
    literal_copy = {"kind": kind, "text": text}
    return _expression(fields, "CONSTANT", "VALUE_CONSTANT", literal=literal_copy)


def _parameter(walk: Walk, fields: Fields, _scope: Scope) -> Tree:
    fields.only("type", "VALUE_PARAMETER")
    identifier = fields.text("identifier")
    if re.fullmatch(r"[1-9][0-9]{0,2}", identifier) is None or int(identifier) > MAX_PARAMETERS:
        raise StatementParametersInvalid(
            f"A parameter is ?, or $1 to ${MAX_PARAMETERS}; names are not served. Number them."
        )
    walk.parameters.add(int(identifier))
    return _expression(fields, "PARAMETER", "VALUE_PARAMETER", identifier=identifier)


def _comparison(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    kind = fields.one_of("type", _COMPARISONS)
    left = walk.expression(fields.value("left"), scope)
    right = walk.expression(fields.value("right"), scope)
    return _expression(fields, "COMPARISON", kind, left=left, right=right)


def _conjunction(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    kind = fields.one_of("type", _CONJUNCTIONS)
    children = walk.expressions(fields.items("children"), scope)
    return _expression(fields, "CONJUNCTION", kind, children=children)


def _between(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    fields.only("type", "COMPARE_BETWEEN")
    parts = {key: walk.expression(fields.value(key), scope) for key in ("input", "lower", "upper")}
    return _expression(fields, "BETWEEN", "COMPARE_BETWEEN", **parts)


def _case(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    fields.only("type", "CASE_EXPR")
    checks = [_when(walk, raw, scope) for raw in fields.items("case_checks")]
    other = walk.expression(fields.value("else_expr"), scope)
    return _expression(fields, "CASE", "CASE_EXPR", case_checks=checks, else_expr=other)


def _when(walk: Walk, raw: object, scope: Scope) -> Tree:
    with opened(raw, "CASE") as fields:
        keys = ("when_expr", "then_expr")
        return {key: walk.expression(fields.value(key), scope) for key in keys}


def _cast(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    fields.only("type", "OPERATOR_CAST")
    return _expression(
        fields,
        "CAST",
        "OPERATOR_CAST",
        child=walk.expression(fields.value("child"), scope),
        try_cast=fields.flag("try_cast"),
        type_expr=check_type(fields.value("type_expr")),
    )


def _operator(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    fields.what = "An operator"
    kind = fields.one_of("type", _OPERATORS)
    children = walk.expressions(fields.items("children"), scope)
    if kind == "STRUCT_EXTRACT":
        _check_member(children)
    return _expression(fields, "OPERATOR", kind, children=children)


def _check_member(children: list[Tree]) -> None:
    """A struct's member is a plain name: DuckDB writes one with a quote wrongly."""
    match children:
        case [_, {"literal": {"kind": "STRING", "text": str(name)}}] if name and "'" not in name:
            return
        case _:
            raise refused("A struct member of such a name")


def _subquery(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    fields.only("type", "SUBQUERY")
    return _expression(
        fields,
        "SUBQUERY",
        "SUBQUERY",
        subquery_type=fields.one_of("subquery_type", _SUBQUERIES),
        subquery=statement_of(walk, fields.value("subquery"), scope),
        child=walk.optional(fields.value("child"), scope),
        comparison_type=fields.one_of("comparison_type", _COMPARISONS | {"INVALID"}),
    )


def _position(_walk: Walk, fields: Fields, _scope: Scope) -> Tree:
    """`#1`, which DuckDB itself writes for ARRAY(SELECT …)."""
    fields.only("type", "POSITIONAL_REFERENCE")
    index = fields.value("index")
    if type(index) is not int or not 1 <= index <= 10_000:
        raise refused("A positional reference")
    return _expression(fields, "POSITIONAL_REFERENCE", "POSITIONAL_REFERENCE", index=index)


def _expression(fields: Fields, class_: str, type_: str, **parts: object) -> Tree:
    return {"class": class_, "type": type_, "alias": fields.text("alias"), **parts}


EXPRESSIONS: Mapping[str, Visitor] = {
    "COLUMN_REF": _column,
    "CONSTANT": _constant,
    "PARAMETER": _parameter,
    "COMPARISON": _comparison,
    "CONJUNCTION": _conjunction,
    "BETWEEN": _between,
    "CASE": _case,
    "CAST": _cast,
    "OPERATOR": _operator,
    "FUNCTION": call,
    "WINDOW": window,
    "SUBQUERY": _subquery,
    "STAR": columns,
    "POSITIONAL_REFERENCE": _position,
}
