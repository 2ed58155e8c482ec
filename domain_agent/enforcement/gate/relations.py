"""What may stand in a FROM clause."""

from collections.abc import Mapping

from domain_agent.enforcement.gate.calls import table_call
from domain_agent.enforcement.gate.fields import Fields, opened, refused
from domain_agent.enforcement.gate.names import Scope, check_alias
from domain_agent.enforcement.gate.queries import statement_of
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.gate.walk import Visitor, Walk

VALUES_ALIAS = "valueslist"
_JOIN_TYPES = frozenset({"INNER", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"})
_JOIN_KINDS = frozenset({"REGULAR", "CROSS", "NATURAL", "ASOF"})


def _empty(_walk: Walk, fields: Fields, _scope: Scope) -> Tree:
    fields.only("alias", "")
    fields.only("sample", None)
    return {"type": "EMPTY", "alias": "", "sample": None}


def _table(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    """A table's name: a common table expression keeps it, a dataset gets all three parts."""
    fields.only("sample", None, "TABLESAMPLE")
    fields.only("at_clause", None, "AT (time travel)")
    path = _path(fields)
    alias = fields.text("alias")
    if len(path) == 1 and scope.holds(path[0]):
        check_alias(alias, walk.catalog)
    else:
        dataset = walk.dataset(path)
        check_alias(alias, walk.catalog, own=dataset)
        path = [walk.catalog.domain, dataset.product, dataset.dataset]
    catalog, schema, table = [""] * (3 - len(path)) + path
    return {
        "type": "BASE_TABLE",
        "alias": alias,
        "sample": None,
        "schema_name": schema,
        "table_name": table,
        "column_name_alias": fields.texts("column_name_alias"),
        "catalog_name": catalog,
        "at_clause": None,
        "qualified_name": {"path": path},
    }


def _path(fields: Fields) -> list[str]:
    """The name's parts, which the tree holds twice and must hold alike."""
    with opened(fields.value("qualified_name"), "A name of this kind") as qualified:
        path = qualified.texts("path")
    names = [fields.text(key) for key in ("catalog_name", "schema_name", "table_name")]
    if len(path) <= 3 and ["", "", "", *path][-3:] != names:
        raise refused("A name of this kind")
    return path


def _join(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    fields.only("alias", "")
    fields.only("sample", None, "TABLESAMPLE")
    fields.only("delim_flipped", False)
    fields.only("duplicate_eliminated_columns", [])
    fields.only("ranking_expression", None)
    fields.only("nearest_count", 1)
    fields.only("nearest_order_type", "ASCENDING")
    fields.only("nearest_approx", False)
    fields.what = "A join of this kind"
    return {
        "type": "JOIN",
        "alias": "",
        "sample": None,
        "left": walk.relation(fields.value("left"), scope),
        "right": walk.relation(fields.value("right"), scope),
        "condition": walk.optional(fields.value("condition"), scope),
        "join_type": fields.one_of("join_type", _JOIN_TYPES),
        "ref_type": fields.one_of("ref_type", _JOIN_KINDS),
        "using_columns": fields.texts("using_columns"),
        "delim_flipped": False,
        "duplicate_eliminated_columns": [],
        "is_implicit": fields.flag("is_implicit"),
        "ranking_expression": None,
        "nearest_count": 1,
        "nearest_order_type": "ASCENDING",
        "nearest_approx": False,
    }


def _subquery(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    fields.only("sample", None, "TABLESAMPLE")
    alias = fields.text("alias")
    check_alias(alias, walk.catalog)
    names = fields.texts("column_name_alias")
    inner = statement_of(walk, fields.value("subquery"), scope)
    rows = _rows_alone(inner) if alias == VALUES_ALIAS and not names else None
    if rows is not None:
        return rows
    return {
        "type": "SUBQUERY",
        "alias": alias,
        "sample": None,
        "subquery": inner,
        "column_name_alias": names,
    }


def _rows_alone(statement: Tree) -> Tree | None:
    """The VALUES list that the statement is, if it is nothing else.

    DuckDB's text of a VALUES list wraps it into one more SELECT each time; without them the tree
    of the text is the tree it was made from.
    """
    node = statement["node"]
    rows = node["from_table"] if isinstance(node, dict) and "from_table" in node else None
    if not isinstance(rows, dict) or rows["type"] != "EXPRESSION_LIST":
        return None
    return rows if statement == {"node": _all_of(rows), "named_param_map": []} else None


def _all_of(rows: Tree) -> Tree:
    star: Tree = {"class": "STAR", "type": "STAR", "alias": "", "relation_name": ""}
    star |= {"exclude_list": [], "replace_list": [], "columns": False, "expr": None}
    star |= {"qualified_exclude_list": [], "rename_list": []}
    return {
        "type": "SELECT_NODE",
        "modifiers": [],
        "cte_map": {"map": []},
        "select_list": [star],
        "from_table": rows,
        "where_clause": None,
        "group_expressions": [],
        "group_sets": [],
        "aggregate_handling": "STANDARD_HANDLING",
        "having": None,
        "sample": None,
        "qualify": None,
    }


def _values(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    fields.what = "VALUES"
    fields.only("alias", VALUES_ALIAS)
    fields.only("sample", None)
    fields.only("expected_names", [])
    fields.only("expected_types", [])
    rows: list[list[Tree]] = []
    for row in fields.items("values"):
        if type(row) is not list:
            raise refused("VALUES")
        rows.append(walk.expressions(row, scope))
    return {
        "type": "EXPRESSION_LIST",
        "alias": VALUES_ALIAS,
        "sample": None,
        "expected_names": [],
        "expected_types": [],
        "values": rows,
    }


def _function(walk: Walk, fields: Fields, scope: Scope) -> Tree:
    fields.only("sample", None, "TABLESAMPLE")
    fields.only("with_ordinality", "WITHOUT_ORDINALITY", "WITH ORDINALITY")
    alias = fields.text("alias")
    check_alias(alias, walk.catalog)
    return {
        "type": "TABLE_FUNCTION",
        "alias": alias,
        "sample": None,
        "function": table_call(walk, fields.value("function"), scope),
        "column_name_alias": fields.texts("column_name_alias"),
        "with_ordinality": "WITHOUT_ORDINALITY",
    }


RELATIONS: Mapping[str, Visitor] = {
    "EMPTY": _empty,
    "BASE_TABLE": _table,
    "JOIN": _join,
    "SUBQUERY": _subquery,
    "EXPRESSION_LIST": _values,
    "TABLE_FUNCTION": _function,
}
