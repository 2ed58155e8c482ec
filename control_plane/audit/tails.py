"""How many tails and log readers run at the same time: each asks the database again and again."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from mesh.errors import ControlOverloaded

TAILS_OF_ONE = 4
TAILS_OF_ALL = 256


class TailSlots:
    """Room for streams, for each caller and for all together. Belongs to one event loop."""

    def __init__(
        self, each: int = TAILS_OF_ONE, total: int = TAILS_OF_ALL, noun: str = "tails"
    ) -> None:
        self._each, self._total, self._noun = each, total, noun
        self._taken: Counter[str] = Counter()

    @contextmanager
    def taken(self, caller: str) -> Iterator[None]:
        """Room for one more, until the block ends. Raises ControlOverloaded without any."""
        if self._taken[caller] >= self._each:
            raise ControlOverloaded(
                f"{caller} has {self._each} {self._noun} already; end one of them",
                limit=str(self._each),
            )
        if self._taken.total() >= self._total:
            raise ControlOverloaded(
                f"the control plane serves {self._total} {self._noun} already; try again later",
                limit=str(self._total),
            )
        self._taken[caller] += 1
        try:
            yield
        finally:
            self._taken[caller] -= 1
            self._taken += Counter()
