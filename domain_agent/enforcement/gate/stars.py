"""Stars: `*` and `t.*` in a select list, and COLUMNS(…) with a pattern or names."""

from domain_agent.enforcement.gate.fields import Fields, opened, refused
from domain_agent.enforcement.gate.names import Scope
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.gate.walk import Walk


def is_star(raw: object) -> bool:
    """Whether the node is a star of either kind."""
    return isinstance(raw, dict) and raw.get("class") == "STAR"


def star_of(walk: Walk, raw: object, scope: Scope) -> Tree:
    """A copy of a star in a select list."""
    with opened(raw, "A star of this form") as fields:
        fields.only("class", "STAR")
        return _copy(walk, fields, scope, columns=fields.flag("columns"))


def columns(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    """A copy of COLUMNS(…), which may stand inside an expression."""
    fields.only("columns", True, "A star inside an expression")
    return _copy(walk, fields, scope, columns=True)


def _copy(walk: Walk, fields: Fields, scope: Scope, *, columns: bool) -> Tree:
    fields.what = "A star of this form"
    fields.only("type", "STAR")
    return {
        "class": "STAR",
        "type": "STAR",
        "alias": fields.text("alias"),
        "relation_name": fields.text("relation_name"),
        "exclude_list": fields.texts("exclude_list"),
        "replace_list": [_replaced(walk, item, scope) for item in fields.items("replace_list")],
        "columns": columns,
        "expr": _pattern(walk, fields.value("expr"), scope),
        "qualified_exclude_list": [_name(item) for item in fields.items("qualified_exclude_list")],
        "rename_list": [_renamed(item) for item in fields.items("rename_list")],
    }


def _pattern(walk: Walk, raw: object, scope: Scope) -> Tree | None:
    """What selects the columns: a text or a list of texts, never a lambda or a parameter."""
    if raw is None:
        return None
    copy = walk.expression(raw, scope)
    if _is_text(copy):
        return copy
    arguments = copy.get("arguments")
    if copy.get("function_name") == "list_value" and isinstance(arguments, list):
        texts = [item for item in arguments if _is_text(item["expression"])]
        if texts and len(texts) == len(arguments):
            return copy
    raise refused("COLUMNS with anything but a star, a pattern or a list of names")


def _is_text(copy: Tree) -> bool:
    literal = copy.get("literal")
    return isinstance(literal, dict) and literal["kind"] == "STRING"


def _replaced(walk: Walk, raw: object, scope: Scope) -> Tree:
    with opened(raw, "REPLACE in a star") as fields:
        key = fields.text("key")
        return {"key": key, "value": walk.expression(fields.value("value"), scope)}


def _renamed(raw: object) -> Tree:
    with opened(raw, "RENAME in a star") as fields:
        return {"key": _name(fields.value("key")), "value": fields.text("value")}


def _name(raw: object) -> Tree:
    with opened(raw, "A column's name in a star") as fields:
        return {key: fields.text(key) for key in ("catalog", "schema", "table", "column")}
