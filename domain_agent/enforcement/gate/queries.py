"""SELECT, set operations, WITH, and what orders and limits them."""

from collections.abc import Mapping

from domain_agent.enforcement.gate.fields import Fields, opened, refused
from domain_agent.enforcement.gate.names import Scope, check_cte, lowered
from domain_agent.enforcement.gate.stars import is_star, star_of
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.gate.walk import Visitor, Walk

MAX_GROUPING_SETS = 1_024
_SET_OPERATIONS = frozenset({"UNION", "UNION_BY_NAME", "EXCEPT", "INTERSECT"})
_AGGREGATE_HANDLING = frozenset({"STANDARD_HANDLING", "FORCE_AGGREGATES"})
_MATERIALIZED = frozenset(
    {"CTE_MATERIALIZE_DEFAULT", "CTE_MATERIALIZE_ALWAYS", "CTE_MATERIALIZE_NEVER"}
)
_DIRECTIONS = frozenset({"ASCENDING", "DESCENDING", "ORDER_DEFAULT"})
_NULL_ORDERS = frozenset({"NULLS FIRST", "NULLS LAST", "ORDER_DEFAULT"})
_LIMIT_TYPES = frozenset({"ROW_COUNT", "PERCENTAGE"})


def statement_of(walk: Walk, raw: object, scope: Scope) -> Tree:
    """A copy of a whole SELECT statement, the outer one or one in brackets."""
    with opened(raw, "A statement of this kind") as fields:
        node = walk.query(fields.value("node"), scope)
        parameters = [_parameter(item) for item in fields.items("named_param_map")]
    return {"node": node, "named_param_map": parameters}


def orders_of(walk: Walk, raws: list[object], scope: Scope) -> list[Tree]:
    """Copies of the parts of an ORDER BY."""
    return [_order(walk, raw, scope) for raw in raws]


def _parameter(raw: object) -> Tree:
    with opened(raw, "A parameter of this kind") as fields:
        key, value = fields.text("key"), fields.value("value")
    if type(value) is not int:
        raise refused("A parameter of this kind")
    return {"key": key, "value": value}


def _select(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    inner, ctes = _ctes(walk, fields, scope)
    fields.only("sample", None, "USING SAMPLE")
    groups = walk.expressions(fields.items("group_expressions"), inner)
    return {
        "type": "SELECT_NODE",
        "modifiers": _modifiers(walk, fields, inner),
        "cte_map": ctes,
        "select_list": [_selected(walk, raw, inner) for raw in fields.items("select_list")],
        "from_table": walk.relation(fields.value("from_table"), inner),
        "where_clause": walk.optional(fields.value("where_clause"), inner),
        "group_expressions": groups,
        "group_sets": _group_sets(fields, len(groups)),
        "aggregate_handling": fields.one_of("aggregate_handling", _AGGREGATE_HANDLING),
        "having": walk.optional(fields.value("having"), inner),
        "sample": None,
        "qualify": walk.optional(fields.value("qualify"), inner),
    }


def _selected(walk: Walk, raw: object, scope: Scope) -> Tree:
    """One item of a select list, the only place of a bare star."""
    return star_of(walk, raw, scope) if is_star(raw) else walk.expression(raw, scope)


def _set_operation(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    inner, ctes = _ctes(walk, fields, scope)
    fields.only("left", None)
    fields.only("right", None)
    children = fields.items("children")
    if len(children) < 2:
        raise refused("A set operation of this kind")
    return {
        "type": "SET_OPERATION_NODE",
        "modifiers": _modifiers(walk, fields, inner),
        "cte_map": ctes,
        "setop_type": fields.one_of("setop_type", _SET_OPERATIONS),
        "left": None,
        "right": None,
        "setop_all": fields.flag("setop_all"),
        "children": [walk.query(child, inner) for child in children],
    }


def _ctes(walk: Walk, fields: Fields, scope: Scope) -> tuple[Scope, Tree]:
    """The scope inside a query that has these common table expressions, and their copies."""
    with opened(fields.value("cte_map"), "WITH") as ctes:
        entries = ctes.items("map")
    copies: list[Tree] = []
    for raw in entries:
        with opened(raw, "WITH") as entry:
            name = entry.text("key")
            check_cte(name, walk.catalog)
            copies.append({"key": name, "value": _cte(walk, entry.value("value"), name, scope)})
        scope = scope.having(name)
    return scope, {"map": copies}


def _cte(walk: Walk, raw: object, name: str, scope: Scope) -> Tree:
    with opened(raw, "WITH") as fields:
        fields.only("key_targets", [], "WITH … USING KEY")
        fields.only("payload_aggregates", [], "WITH … USING KEY")
        query = Fields(fields.value("query_node"), "WITH")
        if query.text("type") == "RECURSIVE_CTE_NODE":
            node = _recursive(walk, fields.value("query_node"), name, scope)
        else:
            node = walk.query(fields.value("query_node"), scope)
        return {
            "aliases": fields.texts("aliases"),
            "materialized": fields.one_of("materialized", _MATERIALIZED),
            "key_targets": [],
            "payload_aggregates": [],
            "query_node": node,
        }


def _recursive(walk: Walk, raw: object, name: str, scope: Scope) -> Tree:
    """The body of a recursive expression, which alone sees its own name."""
    with opened(raw, "WITH RECURSIVE") as fields:
        fields.only("type", "RECURSIVE_CTE_NODE")
        fields.only("key_targets", [], "WITH … USING KEY")
        if lowered(fields.text("cte_name")) != lowered(name):
            raise refused("WITH RECURSIVE")
        own, ctes = _ctes(walk, fields, scope)
        return {
            "type": "RECURSIVE_CTE_NODE",
            "modifiers": _modifiers(walk, fields, own),
            "cte_map": ctes,
            "cte_name": name,
            "union_all": fields.flag("union_all"),
            "left": walk.query(fields.value("left"), own),
            "right": walk.query(fields.value("right"), own.having(name)),
            "aliases": fields.texts("aliases"),
            "key_targets": [],
        }


def _modifiers(walk: Walk, fields: Fields, scope: Scope) -> list[Tree]:
    return [_modifier(walk, raw, scope) for raw in fields.items("modifiers")]


def _modifier(walk: Walk, raw: object, scope: Scope) -> Tree:
    with opened(raw, "A clause of this kind after the query") as fields:
        match fields.text("type"):
            case "ORDER_MODIFIER":
                orders = orders_of(walk, fields.items("orders"), scope)
                return {"type": "ORDER_MODIFIER", "orders": orders}
            case "DISTINCT_MODIFIER":
                targets = walk.expressions(fields.items("distinct_on_targets"), scope)
                return {"type": "DISTINCT_MODIFIER", "distinct_on_targets": targets}
            case "LIMIT_MODIFIER":
                return {
                    "type": "LIMIT_MODIFIER",
                    "limit": walk.optional(fields.value("limit"), scope),
                    "offset": walk.optional(fields.value("offset"), scope),
                    "limit_type": fields.one_of("limit_type", _LIMIT_TYPES),
                }
            case _:
                raise refused(fields.what)


def _order(walk: Walk, raw: object, scope: Scope) -> Tree:
    with opened(raw, "ORDER BY") as fields:
        return {
            "type": fields.one_of("type", _DIRECTIONS),
            "null_order": fields.one_of("null_order", _NULL_ORDERS),
            "expression": walk.expression(fields.value("expression"), scope),
        }


def _group_sets(fields: Fields, count: int) -> list[list[int]]:
    sets = fields.items("group_sets")
    if len(sets) > MAX_GROUPING_SETS:
        raise refused(f"A GROUP BY of more than {MAX_GROUPING_SETS:,} grouping sets")
    return [_group_set(members, count) for members in sets]


def _group_set(members: object, count: int) -> list[int]:
    if type(members) is not list:
        raise refused("GROUPING SETS")
    indexes = [index for index in members if type(index) is int and 0 <= index < count]
    if len(indexes) != len(members):
        raise refused("GROUPING SETS")
    return indexes


QUERIES: Mapping[str, Visitor] = {"SELECT_NODE": _select, "SET_OPERATION_NODE": _set_operation}
