"""A Merkle tree over a log of records: RFC 6962, section 2.1; SHA-256 throughout.

Leaf indexes start at 0. A hash has 32 bytes.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()

# The root of the complete subtree over the leaves first, ..., first + 2**level - 1.
NodeSource = Callable[[int, int], bytes]


def leaf_hash(record: bytes) -> bytes:
    """The hash of a record as a leaf."""
    return hashlib.sha256(b"\x00" + record).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two subtrees as one."""
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that is needed of a log to append to it and to know its root: about log2(size) hashes.

    `nodes` are the roots of the complete subtrees that the leaves divide into, largest first.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = field(default=())

    def __post_init__(self) -> None:
        if self.size < 0 or len(self.nodes) != self.size.bit_count():
            raise ValueError(
                f"{self.size} leaves have {self.size.bit_count()} nodes, not {len(self.nodes)}"
            )
        if any(len(node) != HASH_BYTES for node in self.nodes):
            raise ValueError(f"a node has {HASH_BYTES} bytes")

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier with one more leaf."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """The frontier with more leaves."""
        nodes, size = list(self.nodes), self.size
        for leaf in leaves:
            node, above = leaf, size
            while above & 1:
                node, above = node_hash(nodes.pop(), node), above >> 1
            nodes.append(node)
            size += 1
        return Frontier(size, tuple(nodes))

    @property
    def root(self) -> bytes:
        """The root of the whole log."""
        if not self.nodes:
            return EMPTY_ROOT
        root = self.nodes[-1]
        for node in reversed(self.nodes[:-1]):
            root = node_hash(node, root)
        return root


def range_hash(node: NodeSource, start: int, stop: int) -> bytes:
    """The root over the leaves start, ..., stop - 1, from complete subtrees.

    `start` must be a multiple of the largest power of two below the range's width, as it is in
    every range that the proofs below ask for.
    """
    width = stop - start
    if width < 1:
        raise ValueError("a range has at least one leaf")
    if width.bit_count() == 1:
        return node(width.bit_length() - 1, start)
    middle = start + _split(width)
    return node_hash(range_hash(node, start, middle), range_hash(node, middle, stop))


def inclusion_path(node: NodeSource, index: int, size: int) -> list[bytes]:
    """The audit path of a leaf in the log of that size (RFC 6962, 2.1.1): leaf to root."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a log of {size}")
    path: list[bytes] = []
    start, stop = 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            path.append(range_hash(node, middle, stop))
            stop = middle
        else:
            path.append(range_hash(node, start, middle))
            start = middle
    return path[::-1]


def root_of_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes]) -> bytes:
    """The root that a path leads to (RFC 9162, 2.1.3.2). Raises ValueError where it can't be one.

    The leaf is in the log when this equals the root of a signed checkpoint of that size.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} is not in a log of {size}")
    place, last, root = index, size - 1, leaf
    for node in path:
        if last == 0:
            raise ValueError("the path is too long")
        if place & 1 or place == last:
            root = node_hash(node, root)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            root = node_hash(root, node)
        place, last = place >> 1, last >> 1
    if last:
        raise ValueError("the path is too short")
    return root


def frontier_at(node: NodeSource, size: int) -> Frontier:
    """The frontier of the log as it was at a size."""
    nodes, start = [], 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            nodes.append(node(level, start))
            start += 1 << level
    return Frontier(size, tuple(nodes))


def _split(width: int) -> int:
    """The largest power of two below a width."""
    return 1 << (width - 1).bit_length() - 1
