"""Our tree against another implementation of RFC 6962's: roots and audit paths are equal."""

from random import Random

from pymerkle import InmemoryTree

from control_plane.audit.tiles import TileNodes, grown
from mesh.evidence.merkle import Frontier, frontier_at, inclusion_path, leaf_hash

SIZE = 3_000


def test_roots_and_paths_are_those_of_the_other_implementation() -> None:
    rng = Random(6962)  # noqa: S311 - a seeded series
    records = [rng.randbytes(rng.randrange(80)) for _ in range(SIZE)]
    other = InmemoryTree(algorithm="sha256")
    tiles: dict[tuple[int, int], bytes] = {}
    frontier, size, compared = Frontier(), 0, 0
    while size < SIZE:
        batch = records[size : size + rng.choice((1, 2, 7, 255, 256, 257))]
        leaves = [leaf_hash(record) for record in batch]
        last = {height: hashes for (height, _), hashes in sorted(tiles.items())}
        for tile in grown(size, last, leaves):
            tiles[tile.height, tile.index] = tile.hashes
        frontier, size = frontier.extend(leaves), size + len(batch)
        for record in batch:
            other.append_entry(record)
        nodes = TileNodes(lambda height, index: tiles.get((height, index), b""))
        assert frontier.root == other.get_root() == frontier_at(nodes, size).root
        for _ in range(20):
            earlier = rng.randint(1, size)
            index = rng.randrange(earlier)
            proof = other.prove_inclusion(index + 1, earlier)
            # The other's paths hold the leaf too, and are in the order that hashing needs.
            theirs = sorted(bytes.fromhex(node) for node in proof.serialize()["path"])
            ours = [*inclusion_path(nodes, index, earlier), leaf_hash(records[index])]
            assert sorted(ours) == theirs
            assert frontier_at(nodes, earlier).root == other.get_root(earlier)
            compared += 1
    assert compared > 200
