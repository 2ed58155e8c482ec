"""Lambdas, `lambda x: …` alone: the older arrow also means JSON and is refused."""

from domain_agent.enforcement.gate.fields import opened, refused
from domain_agent.enforcement.gate.names import Scope
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.gate.walk import Walk

_NO_ORDER = {"type": "ORDER_MODIFIER", "orders": list[object]()}


def is_lambda(raw: object) -> bool:
    """Whether the argument is a lambda."""
    return isinstance(raw, dict) and raw.get("class") == "LAMBDA"


def lambda_of(walk: Walk, raw: object, scope: Scope) -> Tree:
    """A copy of a lambda, whose parameters are bare names."""
    with opened(raw, "A lambda of this form (write lambda x: …)") as fields:
        fields.only("class", "LAMBDA")
        fields.only("type", "LAMBDA")
        fields.only("syntax_type", "LAMBDA_KEYWORD")
        return {
            "class": "LAMBDA",
            "type": "LAMBDA",
            "alias": fields.text("alias"),
            "lhs": _parameters(fields.value("lhs")),
            "expr": walk.expression(fields.value("expr"), scope),
            "syntax_type": "LAMBDA_KEYWORD",
        }


def _parameters(raw: object) -> Tree:
    """One name, or a row of names."""
    if not (isinstance(raw, dict) and raw.get("class") == "FUNCTION"):
        return _parameter(raw)
    with opened(raw, "A lambda with such parameters") as fields:
        for key in ("class", "type"):
            fields.only(key, "FUNCTION")
        for key in ("alias", "schema", "catalog"):
            fields.only(key, "")
        for key in ("distinct", "is_operator", "export_state"):
            fields.only(key, False)
        fields.only("function_name", "row")
        fields.only("qualified_name", {"path": ["row"]})
        fields.only("filter", None)
        fields.only("order_bys", _NO_ORDER)
        names = [_row_member(item) for item in fields.items("arguments")]
    return {
        "class": "FUNCTION",
        "type": "FUNCTION",
        "alias": "",
        "function_name": "row",
        "schema": "",
        "filter": None,
        "order_bys": {"type": "ORDER_MODIFIER", "orders": []},
        "distinct": False,
        "is_operator": False,
        "export_state": False,
        "catalog": "",
        "arguments": names,
        "qualified_name": {"path": ["row"]},
    }


def _row_member(raw: object) -> Tree:
    with opened(raw, "A lambda with such parameters") as fields:
        fields.only("name", "")
        return {"name": "", "expression": _parameter(fields.value("expression"))}


def _parameter(raw: object) -> Tree:
    with opened(raw, "A lambda with such parameters") as fields:
        fields.only("class", "COLUMN_REF")
        fields.only("type", "COLUMN_REF")
        fields.only("alias", "")
        names = fields.texts("column_names")
    if len(names) != 1 or not names[0]:
        raise refused("A lambda with such parameters")
    return {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": names}
