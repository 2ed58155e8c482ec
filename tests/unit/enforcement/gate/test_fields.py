"""Each field of each kind of node, changed once: no change passes unseen."""

import copy

import pytest

from domain_agent.enforcement.gate import check
from mesh.errors import MeshError
from tests.unit.enforcement.gate.corpus import CATALOG, serialize, served
from tests.unit.enforcement.gate.places import LOCATION, OPTIONAL, Path, at, paths, put

Place = tuple[dict[str, object], Path]
_OTHERS: list[object] = [None, True, 7, 1.5, "x", [], ["x"], {}]


def _kinds() -> dict[str, Place]:
    """The first occurrence of each kind of node: its class, its type and its fields."""
    kinds: dict[str, Place] = {}
    for tree in map(serialize, [*served(), "SELECT $1, $2"]):
        for path in paths(tree):
            node = at(tree, path)
            if path and isinstance(node, dict):
                named = f"{node.get('class', '')} {node.get('type', '')} {sorted(node)}"
                kinds.setdefault(named, (dict(tree), path))
    return kinds


_KINDS = _kinds()


def _assert_refused(place: Place, key: str, value: object = None, *, gone: bool = False) -> None:
    tree, path = copy.deepcopy(place[0]), place[1]
    node = at(tree, path)
    assert isinstance(node, dict)
    if gone:
        del node[key]
    else:
        put(tree, (*path, key), value)
    with pytest.raises(MeshError) as refusal:
        check(tree, CATALOG)
    assert refusal.value.reason.startswith("statement."), (path, key, value)


def test_every_kind_of_node_is_looked_at() -> None:
    assert len(_KINDS) > 60


@pytest.mark.parametrize("kind", _KINDS)
def test_every_field_is_needed_and_no_other_passes(kind: str) -> None:
    place = _KINDS[kind]
    node = at(*place)
    assert isinstance(node, dict)
    _assert_refused(place, "another", None)
    for key in set(node) - LOCATION:
        _assert_refused(place, key, gone=True)


@pytest.mark.parametrize("kind", _KINDS)
def test_every_field_keeps_its_kind_of_value(kind: str) -> None:
    place = _KINDS[kind]
    node = at(*place)
    assert isinstance(node, dict)
    for key in set(node) - LOCATION:
        for other in _OTHERS:
            absent = other is None and key in OPTIONAL
            if type(other) is not type(node[key]) and not absent:
                _assert_refused(place, key, other)
        if key in ("class", "type"):
            _assert_refused(place, key, "OTHER")


def test_parameters_of_a_lambda_are_bare_names() -> None:
    tree = dict(serialize("SELECT list_transform(tags, lambda x, i: x) FROM flights"))
    row: Path = ("statements", 0, "node", "select_list", 0, "arguments", 1, "expression", "lhs")
    column = {"class": "COLUMN_REF", "type": "COLUMN_REF", "alias": "", "column_names": ["id"]}
    order = {"type": "ASCENDING", "null_order": "ORDER_DEFAULT", "expression": column}
    for key, value in (
        ("filter", column),
        ("order_bys", {"type": "ORDER_MODIFIER", "orders": [order]}),
        ("qualified_name", {"path": ["stats"]}),
        ("function_name", "stats"),
        ("alias", "x"),
        ("distinct", True),
        ("arguments", [{"name": "x", "expression": column}]),
        ("arguments", [{"name": "", "expression": column | {"column_names": ["a", "b"]}}]),
        ("arguments", [{"name": "", "expression": column | {"alias": "b"}}]),
    ):
        _assert_refused((tree, row), key, value)


def test_size_of_a_type_is_a_bare_number() -> None:
    tree = dict(serialize("SELECT 1::DECIMAL(10, 2)"))
    size: Path = ("statements", 0, "node", "select_list", 0, "type_expr", "children", 0)
    for key, value in (
        ("alias", "x"),
        ("literal", {"kind": "INTEGER", "text": "-1"}),
        ("literal", {"kind": "INTEGER", "text": "99999"}),
        ("literal", {"kind": "STRING", "text": "10"}),
    ):
        _assert_refused((tree, size), key, value)
