"""Tiles hold what RFC 6962's own definition says, whatever the batches were."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from control_plane.audit.tiles import WIDTH, TileNodes, TreeDamaged, grown, split
from mesh.evidence.merkle import (
    HASH_BYTES,
    Frontier,
    frontier_at,
    inclusion_path,
    leaf_hash,
    root_of_inclusion,
)
from tests.unit.evidence.test_merkle import path_by_definition, root_by_definition


class Tree:
    """Tiles in a mapping, grown in batches."""

    def __init__(self) -> None:
        self.size = 0
        self.tiles: dict[tuple[int, int], bytes] = {}
        self.loads = 0

    def append(self, leaves: list[bytes]) -> None:
        last = {height: hashes for (height, _), hashes in sorted(self.tiles.items())}
        for tile in grown(self.size, last, leaves):
            self.tiles[tile.height, tile.index] = tile.hashes
        self.size += len(leaves)

    def load(self, height: int, index: int) -> bytes:
        self.loads += 1
        return self.tiles.get((height, index), b"")


def records(size: int) -> list[bytes]:
    return [str(number).encode() for number in range(size)]


def tree(size: int, batch: int = 1_000) -> Tree:
    made, leaves = Tree(), [leaf_hash(record) for record in records(size)]
    for start in range(0, size, batch):
        made.append(leaves[start : start + batch])
    return made


@settings(max_examples=25)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=5), st.data())
def test_proofs_from_tiles_are_those_of_the_definition(
    batches: list[int], data: st.DataObject
) -> None:
    all_records = records(sum(batches))
    made, start = Tree(), 0
    for batch in batches:
        made.append([leaf_hash(record) for record in all_records[start : start + batch]])
        start += batch
    size = data.draw(st.integers(1, start))
    index = data.draw(st.integers(0, size - 1))
    nodes = TileNodes(made.load)
    path = inclusion_path(nodes, index, size)
    assert path == path_by_definition(index, all_records[:size])
    assert frontier_at(nodes, size).root == root_by_definition(all_records[:size])
    for (height, place), hashes in made.tiles.items():
        width = WIDTH**height
        for n, found in enumerate(split(hashes)):
            first = (place * WIDTH + n) * width
            assert (
                found == Frontier().extend(map(leaf_hash, all_records[first : first + width])).root
            )


def test_a_proof_in_a_log_of_70_000_reads_few_tiles() -> None:
    made = tree(70_000)
    assert {height for height, _ in made.tiles} == {0, 1, 2}
    for size, index in ((70_000, 69_999), (70_000, 0), (65_537, 65_536), (65_535, 1)):
        made.loads = 0
        nodes = TileNodes(made.load)
        path = inclusion_path(nodes, index, size)
        leaf = leaf_hash(records(index + 1)[index])
        root = root_of_inclusion(leaf, index, size, path)
        assert root == frontier_at(nodes, size).root
        assert made.loads <= 8


def test_a_missing_hash_is_told() -> None:
    made = tree(300)
    made.tiles[0, 1] = made.tiles[0, 1][:HASH_BYTES]
    with pytest.raises(TreeDamaged, match="leaf 256"):
        inclusion_path(TileNodes(made.load), 0, 300)
    del made.tiles[0, 0]
    with pytest.raises(TreeDamaged, match="leaf 0"):
        frontier_at(TileNodes(made.load), 7)
