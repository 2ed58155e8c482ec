"""The tree against RFC 6962's own definitions, written down anew, and published vectors."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.evidence.merkle import (
    EMPTY_ROOT,
    Frontier,
    NodeSource,
    frontier_at,
    inclusion_path,
    leaf_hash,
    root_of_inclusion,
)

# The leaves and roots that implementations of Certificate Transparency test with.
VECTORS = [
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def root_by_definition(leaves: list[bytes]) -> bytes:
    """MTH(D[n]) of RFC 6962, 2.1."""
    if not leaves:
        return hashlib.sha256().digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\0" + leaves[0]).digest()
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    left, right = root_by_definition(leaves[:split]), root_by_definition(leaves[split:])
    return hashlib.sha256(b"\1" + left + right).digest()


def path_by_definition(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH(m, D[n]) of RFC 6962, 2.1.1."""
    if len(leaves) == 1:
        return []
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    if index < split:
        return [*path_by_definition(index, leaves[:split]), root_by_definition(leaves[split:])]
    nearer = path_by_definition(index - split, leaves[split:])
    return [*nearer, root_by_definition(leaves[:split])]


def records(size: int) -> list[bytes]:
    return [str(number).encode() for number in range(size)]


def nodes_of(leaves: list[bytes]) -> NodeSource:
    return lambda level, first: root_by_definition(leaves[first : first + (1 << level)])


@pytest.mark.parametrize("size", range(1, len(ROOTS) + 1))
def test_published_roots_are_reached(size: int) -> None:
    leaves = [leaf_hash(bytes.fromhex(leaf)) for leaf in VECTORS[:size]]
    assert Frontier().extend(leaves).root.hex() == ROOTS[size - 1]


def test_an_empty_log_has_the_hash_of_nothing() -> None:
    assert Frontier().root == EMPTY_ROOT == root_by_definition([])


@given(st.integers(0, 300))
def test_the_frontier_has_the_root_of_the_definition(size: int) -> None:
    leaves = records(size)
    frontier = Frontier().extend(map(leaf_hash, leaves))
    assert frontier.root == root_by_definition(leaves)
    assert frontier_at(nodes_of(leaves), size) == frontier


@pytest.mark.parametrize("size", [*range(1, 34), 63, 64, 65, 127, 128, 129])
def test_every_path_is_that_of_the_definition_and_leads_to_the_root(size: int) -> None:
    leaves = records(size)
    root = root_by_definition(leaves)
    for index in range(size):
        path = inclusion_path(nodes_of(leaves), index, size)
        assert path == path_by_definition(index, leaves)
        assert root_of_inclusion(leaf_hash(leaves[index]), index, size, path) == root


@given(st.integers(2, 80), st.data())
def test_a_changed_proof_leads_elsewhere(size: int, data: st.DataObject) -> None:
    leaves = records(size)
    index = data.draw(st.integers(0, size - 1))
    path = inclusion_path(nodes_of(leaves), index, size)
    change = data.draw(st.sampled_from(["leaf", "node", "shorter", "longer", "index"]))
    leaf, place = leaf_hash(leaves[index]), index
    if change == "leaf":
        leaf = leaf_hash(b"another")
    elif change == "node":
        broken = data.draw(st.integers(0, len(path) - 1))
        path[broken] = bytes([path[broken][0] ^ 1]) + path[broken][1:]
    elif change == "shorter":
        path.pop(data.draw(st.integers(0, len(path) - 1)))
    elif change == "longer":
        path.insert(data.draw(st.integers(0, len(path))), leaf_hash(b"more"))
    else:
        place = data.draw(st.integers(0, size - 1).filter(lambda other: other != index))
    try:
        root = root_of_inclusion(leaf, place, size, path)
    except ValueError:
        return
    assert root != root_by_definition(leaves)


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_a_leaf_outside_the_log_has_no_path(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="not in a log"):
        inclusion_path(nodes_of(records(size)), index, size)
    with pytest.raises(ValueError, match="not in a log"):
        root_of_inclusion(b"", index, size, [])


def test_a_frontier_that_no_log_has_is_refused() -> None:
    with pytest.raises(ValueError, match="3 leaves have 2 nodes"):
        Frontier(3, (b"x" * 32,))
    with pytest.raises(ValueError, match="32 bytes"):
        Frontier(1, (b"x",))
