"""Function calls and window functions: only allowed names, unqualified."""

from domain_agent.enforcement.gate.fields import Fields, opened, refused
from domain_agent.enforcement.gate.functions import (
    ALLOWED,
    LAMBDA_FUNCTIONS,
    NAMING_FUNCTIONS,
    OPERATORS,
    TABLE_FUNCTIONS,
)
from domain_agent.enforcement.gate.lambdas import is_lambda, lambda_of
from domain_agent.enforcement.gate.names import Scope, lowered
from domain_agent.enforcement.gate.queries import orders_of
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.gate.walk import Walk
from domain_agent.enforcement.gate.words import words
from mesh.errors import StatementFunctionNotAllowed

_WINDOWS = words(
    """
    WINDOW_AGGREGATE WINDOW_CUME_DIST WINDOW_FILL WINDOW_FIRST_VALUE WINDOW_LAG WINDOW_LAST_VALUE
    WINDOW_LEAD WINDOW_NTH_VALUE WINDOW_NTILE WINDOW_PERCENT_RANK WINDOW_RANK WINDOW_RANK_DENSE
    WINDOW_ROW_NUMBER
    """
)
_FRAME_UNITS = ("ROWS", "RANGE", "GROUPS")
_FRAME_EDGES = frozenset({"UNBOUNDED_PRECEDING", "UNBOUNDED_FOLLOWING"}) | {
    f"{edge}_{unit}"
    for edge in ("CURRENT_ROW", "EXPR_PRECEDING", "EXPR_FOLLOWING")
    for unit in _FRAME_UNITS
}
_EXCLUSIONS = frozenset({"NO_OTHER", "CURRENT_ROW", "GROUP", "TIES"})


def call(walk: Walk, fields: Fields, scope: Scope, allowed: frozenset[str] = ALLOWED) -> Tree:
    """A copy of a function call."""
    fields.what = "A function call of this form"
    name = _function_name(fields, allowed)
    fields.only("type", "FUNCTION")
    fields.only("export_state", False, "EXPORT_STATE")
    operator = fields.flag("is_operator")
    arguments = _arguments(walk, fields, scope, lowered(name))
    if name in OPERATORS and not (operator and 1 <= len(arguments) <= 2):
        raise refused("An operator written as a function")
    with opened(fields.value("order_bys"), "ORDER BY in a function call") as orders:
        orders.only("type", "ORDER_MODIFIER")
        order_by = orders_of(walk, orders.items("orders"), scope)
    return {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "alias": fields.text("alias"),
        "function_name": name,
        "schema": "",
        "filter": walk.optional(fields.value("filter"), scope),
        "order_bys": {"type": "ORDER_MODIFIER", "orders": order_by},
        "distinct": fields.flag("distinct"),
        "is_operator": name in OPERATORS,
        "export_state": False,
        "catalog": "",
        "arguments": arguments,
        "qualified_name": {"path": [name]},
    }


def table_call(walk: Walk, raw: object, scope: Scope) -> Tree:
    """A copy of a function call that stands in a FROM clause."""
    with opened(raw, "A table function of this form") as fields:
        fields.only("class", "FUNCTION")
        return call(walk, fields, scope, TABLE_FUNCTIONS)


def window(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    """A copy of a window function."""
    fields.what = "A window function of this form"
    name = _function_name(fields, ALLOWED)
    return {
        "class": "WINDOW",
        "type": fields.one_of("type", _WINDOWS),
        "alias": fields.text("alias"),
        "function_name": name,
        "schema": "",
        "catalog": "",
        "partitions": walk.expressions(fields.items("partitions"), scope),
        "orders": orders_of(walk, fields.items("orders"), scope),
        "start": fields.one_of("start", _FRAME_EDGES),
        "end": fields.one_of("end", _FRAME_EDGES),
        "start_expr": walk.optional(fields.value("start_expr"), scope),
        "end_expr": walk.optional(fields.value("end_expr"), scope),
        "offset_expr": walk.optional(fields.value("offset_expr"), scope),
        "default_expr": walk.optional(fields.value("default_expr"), scope),
        "ignore_nulls": fields.flag("ignore_nulls"),
        "filter_expr": walk.optional(fields.value("filter_expr"), scope),
        "exclude_clause": fields.one_of("exclude_clause", _EXCLUSIONS),
        "distinct": fields.flag("distinct"),
        "arg_orders": orders_of(walk, fields.items("arg_orders"), scope),
        "has_ignore_nulls": fields.flag("has_ignore_nulls"),
        "arguments": _arguments(walk, fields, scope, lowered(name)),
        "qualified_name": {"path": [name]},
    }


def _function_name(fields: Fields, allowed: frozenset[str]) -> str:
    """The function's name, which the tree holds twice and must hold alike, without a schema."""
    name = fields.text("function_name")
    qualifiers = fields.text("catalog"), fields.text("schema")
    with opened(fields.value("qualified_name"), "A function of this name") as qualified:
        path = qualified.texts("path")
    if qualifiers != ("", "") or len(path) > 1:
        raise StatementFunctionNotAllowed(
            "A function is called by its name alone: write lower(name), "
            "neither main.lower(name) nor name.lower()."
        )
    if path != [name]:
        raise refused("A function of this name")
    if lowered(name) not in allowed:
        raise StatementFunctionNotAllowed(
            f"The function {_shown(name)} is not allowed. docs/sql.md lists those that are."
        )
    return name


def _arguments(walk: Walk, fields: Fields, scope: Scope, function: str) -> list[Tree]:
    return [_argument(walk, raw, scope, function) for raw in fields.items("arguments")]


def _argument(walk: Walk, raw: object, scope: Scope, function: str) -> Tree:
    with opened(raw, "An argument of this form") as fields:
        name, expression = fields.text("name"), fields.value("expression")
    if name and function not in NAMING_FUNCTIONS:
        raise refused("A named argument")
    if function in LAMBDA_FUNCTIONS and is_lambda(expression):
        return {"name": name, "expression": lambda_of(walk, expression, scope)}
    copy = walk.expression(expression, scope)
    if name:
        # DuckDB writes `name := value` once, and reads it as both name and alias.
        copy["alias"] = name
    return {"name": name, "expression": copy}


def _shown(name: str) -> str:
    text = "".join(letter if letter.isprintable() else "?" for letter in name[:40])
    return f"`{text}`"
