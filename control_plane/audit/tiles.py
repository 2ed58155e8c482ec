"""A log's tree in tiles: 256 neighbouring hashes of levels 0, 8, 16, ... in one value each.

A level's tile starts with the leaves (level 0) or with the roots of 256, 65,536, ... leaves, so
that a proof in a log of any size is made from a handful of values.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from mesh.evidence.merkle import HASH_BYTES, Frontier

WIDTH = 256
_BITS = 8


class TreeDamaged(Exception):
    """The stored tree lacks a hash that a log of its size has."""


@dataclass(frozen=True, slots=True)
class Tile:
    """The hashes of places index * 256 on, of the roots of 256**height leaves each."""

    height: int
    index: int
    hashes: bytes

    @property
    def root(self) -> bytes:
        """The root over all its hashes."""
        return Frontier().extend(split(self.hashes)).root


def split(hashes: bytes) -> list[bytes]:
    """The hashes one by one."""
    return [hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES)]


def grown(size: int, last: Mapping[int, bytes], leaves: Iterable[bytes]) -> list[Tile]:
    """The tiles that change when leaves are appended to a log of that size.

    `last` are the hashes of each height's last tile where that is not full.
    """
    changed: list[Tile] = []
    height, places, hashes = 0, size, list(leaves)
    while hashes:
        if places % WIDTH:
            hashes = [*split(last[height]), *hashes]
        first = places // WIDTH
        pieces = [hashes[at : at + WIDTH] for at in range(0, len(hashes), WIDTH)]
        tiles = [Tile(height, first + n, b"".join(piece)) for n, piece in enumerate(pieces)]
        changed += tiles
        hashes = [tile.root for tile in tiles if len(tile.hashes) == WIDTH * HASH_BYTES]
        height, places = height + 1, first
    return changed


class TileNodes:
    """The roots of complete subtrees, from tiles; `load` gives a tile's hashes, once each."""

    def __init__(self, load: Callable[[int, int], bytes]) -> None:
        self._load = load
        self._loaded: dict[tuple[int, int], bytes] = {}

    def __call__(self, level: int, first: int) -> bytes:
        """The root over the leaves first, ..., first + 2**level - 1. Raises TreeDamaged."""
        height, above = divmod(level, _BITS)
        place = first >> height * _BITS
        start = place % WIDTH * HASH_BYTES
        hashes = self.tile(height, place // WIDTH)[start : start + (HASH_BYTES << above)]
        if len(hashes) != HASH_BYTES << above:
            raise TreeDamaged(f"no hash is stored at level {level} of leaf {first}")
        return Tile(height, 0, hashes).root

    def tile(self, height: int, index: int) -> bytes:
        """A tile's hashes; empty when it is not stored."""
        key = (height, index)
        if key not in self._loaded:
            self._loaded[key] = self._load(height, index)
        return self._loaded[key]
