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
    for tree in map(serialize, served()):
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
