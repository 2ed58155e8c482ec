"""Which of the records that came under the same sequences the agent signed. Pure."""

from collections.abc import Mapping, Sequence

from mesh.evidence.merkle import Frontier, leaf_hash

# So many hashes are tried at most, well below a second; what takes more is left undecided.
MOST_HASHES = 100_000
# Whoever forges more than these is still told; the topic has the rest.
MOST_OF_SEQUENCE = 8


def signed_choice(
    before: Frontier, options: Sequence[Sequence[bytes]], root: bytes
) -> list[int] | None:
    """Which leaf of each place makes the log with that root; None where no choice is found.

    `options` are the leaves of the places that follow `before`, the likelier first.
    """
    open_places = [place for place, leaves in enumerate(options) if len(leaves) > 1]
    left = MOST_HASHES
    stack: list[tuple[Frontier, int, int, tuple[int, ...]]] = [(before, 0, 0, ())]
    while stack:
        frontier, start, decided, chosen = stack.pop()
        last = decided == len(open_places)
        stop = len(options) if last else open_places[decided]
        left -= stop - start + 1
        if left < 0:
            return None
        frontier = frontier.extend([leaves[0] for leaves in options[start:stop]])
        if last:
            if frontier.root == root:
                choices = iter(chosen)
                return [next(choices) if len(leaves) > 1 else 0 for leaves in options]
            continue
        for number in reversed(range(len(options[stop]))):
            further = frontier.extend([options[stop][number]])
            stack.append((further, stop + 1, decided + 1, (*chosen, number)))
    return None


class TopicLog:
    """What a topic has of an agent's log, beside what is stored of it and what it signed.

    Up to `run`, and where `has` says so, the topic has what is stored; up to `proved` it has what
    the agent signed.
    """

    def __init__(self, roots: Mapping[int, bytes]) -> None:
        self._roots = dict(sorted(roots.items()))
        self._sizes = list(self._roots)
        self._before = Frontier()
        self._leaves: dict[int, list[bytes]] = {}
        self._strays: set[int] = set()
        self.run = 0

    @property
    def proved(self) -> int:
        """Up to where the topic has what the agent signed."""
        return self._before.size

    def has(self, sequence: int) -> bool:
        """Whether the topic has what is stored under a sequence."""
        return sequence <= self.run or sequence in self._strays

    def take(self, sequence: int, record: bytes, *, same: bool) -> None:
        """Note a record of the topic; whether the same is stored."""
        if same and sequence > self.run:
            self._strays.add(sequence)
            while self.run + 1 in self._strays:
                self.run += 1
                self._strays.remove(self.run)
        if self._before.size < sequence <= max(self._roots, default=0):
            leaf, leaves = leaf_hash(record), self._leaves.setdefault(sequence, [])
            if leaf not in leaves and len(leaves) < MOST_OF_SEQUENCE:
                leaves.append(leaf)

    def prove(self) -> None:
        """Compare with the checkpoints for which records are there by now."""
        while self._sizes and self._is_there(self._sizes[0]):
            self._prove(self._sizes.pop(0))

    def prove_rest(self) -> None:
        """Compare with every checkpoint once more, as nothing else comes."""
        for size in self._roots:
            if self._is_there(size):
                self._prove(size)

    def _is_there(self, size: int) -> bool:
        return all(sequence in self._leaves for sequence in range(self._before.size + 1, size + 1))

    def _prove(self, size: int) -> None:
        places = range(self._before.size + 1, size + 1)
        options = [self._leaves[sequence] for sequence in places]
        chosen = signed_choice(self._before, options, self._roots[size])
        if not options or chosen is None:
            return
        pairs = zip(options, chosen, strict=True)
        self._before = self._before.extend([leaves[number] for leaves, number in pairs])
        for sequence in places:
            del self._leaves[sequence]
