"""A tree that DuckDB would not have made is refused: each field is looked at."""

import copy
import json
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain_agent.enforcement.gate import check
from domain_agent.enforcement.gate.functions import ALLOWED
from mesh.errors import MeshError, StatementTooDeep
from tests.unit.enforcement.gate.corpus import CATALOG, pass_gate, serialize, served
from tests.unit.enforcement.gate.places import LOCATION, OPTIONAL, Path, at, paths, put

_TREES = [serialize(sql) for sql in served()]
_VALUES: list[object] = [None, True, False, 0, 1, 1.5, "x", "", [], ["x"], {}, {"a": 1}]


@st.composite
def _places(draw: st.DrawFn, kind: type | None = None) -> tuple[dict[str, object], Path]:
    tree = copy.deepcopy(dict(draw(st.sampled_from(_TREES))))
    places = [path for path in paths(tree) if path and path[0] == "statements"]
    if kind is not None:
        places = [path for path in places if isinstance(at(tree, path), kind)]
    return tree, draw(st.sampled_from(places))


def _assert_refused(tree: dict[str, object]) -> None:
    with pytest.raises(MeshError) as refusal:
        check(tree, CATALOG)
    assert refusal.value.reason.startswith("statement.")


@settings(deadline=None)
@given(
    _places(dict),
    st.sampled_from(["extra", "with_ties", "", "querylocation"]),
    st.sampled_from(_VALUES),
)
def test_unknown_field_is_refused(
    place: tuple[dict[str, object], Path], key: str, value: object
) -> None:
    tree, path = place
    put(tree, (*path, key), value)
    _assert_refused(tree)


@settings(deadline=None)
@given(_places(dict), st.data())
def test_missing_field_is_refused(
    place: tuple[dict[str, object], Path], data: st.DataObject
) -> None:
    tree, path = place
    node = at(tree, path)
    assert isinstance(node, dict)
    del node[data.draw(st.sampled_from(sorted(set(node) - LOCATION)))]
    _assert_refused(tree)


@settings(deadline=None)
@given(_places(), st.sampled_from(_VALUES))
def test_value_of_another_kind_is_refused(
    place: tuple[dict[str, object], Path], value: object
) -> None:
    tree, path = place
    if type(at(tree, path)) is type(value) or (value is None and path[-1] in OPTIONAL):
        return
    put(tree, path, value)
    _assert_refused(tree)


@settings(deadline=None)
@given(
    _places(dict),
    st.sampled_from(["class", "type"]),
    st.sampled_from(
        [
            "SHOW_REF",
            "COLLATE",
            "DELIM_GET",
            "BOUND_REF",
            "LAMBDA",
            "COPY_QUERY_NODE",
            "CTE_NODE",
            "TABLE_REF",
            "x",
        ]
    ),
)
def test_node_of_another_class_is_refused(
    place: tuple[dict[str, object], Path], key: str, value: str
) -> None:
    tree, path = place
    node = at(tree, path)
    assert isinstance(node, dict)
    if node.get(key, value) == value:
        return
    node[key] = value
    _assert_refused(tree)


@settings(deadline=None)
@given(_places(str), st.sampled_from(["read_csv", "x\0y", "a" * 70_000, "secret"]))
def test_word_changed_is_refused_or_stays_within_the_rules(
    place: tuple[dict[str, object], Path], value: str
) -> None:
    tree, path = place
    put(tree, path, value)
    try:
        checked = check(tree, CATALOG)
    except MeshError as refusal:
        assert refusal.reason.startswith("statement.")
        return
    assert value in ("read_csv", "secret")
    for path in paths(checked.tree):
        node = at(checked.tree, path)
        if isinstance(node, dict) and "function_name" in node:
            assert node["function_name"].lower() in ALLOWED
        if isinstance(node, dict) and node.get("type") == "BASE_TABLE" and node["schema_name"]:
            assert node["table_name"] in CATALOG.products[node["schema_name"]]


_COLUMN = {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": ["id"]}
_SAMPLE = {"sample_size": 1, "is_percentage": False, "method": "System", "seed": -1}
_FIXED: dict[str, object] = {
    "sample": _SAMPLE,
    "at_clause": {"unit": "VERSION", "expr": _COLUMN},
    "ranking_expression": _COLUMN,
    "delim_flipped": True,
    "duplicate_eliminated_columns": [_COLUMN],
    "nearest_count": 2,
    "nearest_order_type": "DESCENDING",
    "nearest_approx": True,
    "export_state": True,
    "key_targets": [_COLUMN],
    "payload_aggregates": [_COLUMN],
    "with_ordinality": "WITH_ORDINALITY",
    "expected_names": ["x"],
    "expected_types": [{"id": "BIGINT", "type_info": None}],
    "catalog": "system",
    "schema": "main",
    "cte_name": "other",
    "syntax_type": "SINGLE_ARROW",
    "subquery_type": "NOT_EXISTS",
    "join_type": "SINGLE",
    "ref_type": "POSITIONAL",
    "setop_type": "INVALID",
    "limit_type": "OTHER",
    "materialized": "OTHER",
    "aggregate_handling": "NO_AGGREGATES_ALLOWED",
    "null_order": "OTHER",
    "exclude_clause": "OTHER",
    "start": "INVALID",
    "end": "INVALID",
    "comparison_type": "COMPARE_IN",
    "group_sets": [[99]],
}
_FREE_FLAGS = {
    "columns",
    "distinct",
    "has_ignore_nulls",
    "ignore_nulls",
    "is_implicit",
    "is_operator",
    "setop_all",
    "try_cast",
    "union_all",
}


def _occurrences(keys: set[str]) -> Iterator[tuple[dict[str, object], Path]]:
    """Each place, in a copy of its tree, of a field with one of the names."""
    for tree in _TREES:
        for path in paths(tree):
            if path and path[-1] in keys:
                yield copy.deepcopy(dict(tree)), path


def test_field_that_must_keep_its_value_is_refused_with_another() -> None:
    seen = set()
    for tree, path in _occurrences(set(_FIXED)):
        key = str(path[-1])
        if key in ("catalog", "schema") and "qualified_name" not in _fields(tree, path[:-1]):
            continue  # a column's own qualifiers are free
        seen.add(key)
        put(tree, path, _FIXED[key])
        _assert_refused(tree)
    assert seen == set(_FIXED)


def test_no_flag_but_the_known_ones_is_free() -> None:
    flags = {
        str(path[-1])
        for tree in _TREES
        for path in paths(tree)
        if path and isinstance(at(tree, path), bool) and path != ("error",)
    }
    assert flags - set(_FIXED) == _FREE_FLAGS


def test_children_of_a_set_operation_stand_in_one_place_only() -> None:
    tree = copy.deepcopy(dict(serialize("SELECT 1 UNION SELECT 2")))
    node = _fields(tree, ("statements", 0, "node"))
    children = node["children"]
    assert isinstance(children, list)
    for side in ("left", "right"):
        _assert_refused(_with(tree, ("statements", 0, "node", side), children[0]))
    for count in (0, 1):
        _assert_refused(_with(tree, ("statements", 0, "node", "children"), children[:count]))


def test_alias_where_none_can_be_is_refused() -> None:
    for sql in ("SELECT 1", "SELECT * FROM flights, weather"):
        place: Path = ("statements", 0, "node", "from_table", "alias")
        _assert_refused(_with(dict(serialize(sql)), place, "x"))


def _fields(tree: object, path: Path) -> dict[str, object]:
    node = at(tree, path)
    assert isinstance(node, dict)
    return node


def _with(tree: dict[str, object], path: Path, value: object) -> dict[str, object]:
    changed = copy.deepcopy(tree)
    put(changed, path, value)
    return changed


def test_names_held_twice_must_be_alike() -> None:
    for path, value in (
        (("from_table", "qualified_name", "path"), ["air", "crm", "passengers"]),
        (("from_table", "qualified_name", "path"), ["/etc/passwd"]),
        (("from_table", "qualified_name", "path"), []),
        (("from_table", "table_name"), "passengers"),
        (("from_table", "schema_name"), "crm"),
        (("from_table", "catalog_name"), "other"),
        (("select_list", 0, "function_name"), "upper"),
        (("select_list", 0, "qualified_name", "path"), ["stats"]),
        (("select_list", 0, "qualified_name", "path"), ["main", "lower"]),
        (("select_list", 0, "schema"), "main"),
        (("select_list", 0, "catalog"), "system"),
    ):
        tree = copy.deepcopy(dict(serialize("SELECT lower(carrier) FROM flights")))
        put(tree, ("statements", 0, "node", *path), value)
        _assert_refused(tree)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("INTEGER", "1; DROP TABLE x"),
        ("INTEGER", "1) FROM read_csv('x'"),
        ("INTEGER", ""),
        ("INTEGER", "--1"),
        ("INTEGER", "1\n"),
        ("NUMERIC", "1.5 --"),
        ("NUMERIC", "."),
        ("NUMERIC", ""),
        ("NUMERIC", "nan"),
        ("BOOLEAN", "true OR 1"),
        ("NULL_LITERAL", "x"),
        ("HEX", "0'"),
        ("HEX", "abc"),
        ("BIT", "1"),
        ("STRING", "\0"),
        ("IDENTIFIER", "x"),
    ],
)
def test_literal_that_is_not_one_is_refused(kind: str, text: str) -> None:
    tree = copy.deepcopy(dict(serialize("SELECT 1")))
    put(tree, ("statements", 0, "node", "select_list", 0, "literal"), {"kind": kind, "text": text})
    _assert_refused(tree)


def test_deep_tree_is_refused_whatever_its_maker() -> None:
    tree = copy.deepcopy(dict(serialize("SELECT NOT true")))
    node = at(tree, ("statements", 0, "node", "select_list", 0))
    for _ in range(2_000):
        node = {"class": "OPERATOR", "type": "OPERATOR_NOT", "alias": "", "children": [node]}
    put(tree, ("statements", 0, "node", "select_list", 0), node)
    with pytest.raises(StatementTooDeep):
        check(tree, CATALOG)


@settings(deadline=None)
@given(st.sampled_from(served()))
def test_checking_a_checked_tree_changes_nothing(sql: str) -> None:
    once = pass_gate(sql)
    twice = check(json.loads(json.dumps(once.tree)), CATALOG)
    assert twice == once


def test_the_given_tree_is_left_as_it_was() -> None:
    for tree in _TREES:
        before = copy.deepcopy(tree)
        check(tree, CATALOG)
        assert tree == before
