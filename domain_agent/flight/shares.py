"""Places that callers share, so that who holds none finds one soon."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mesh.errors import AgentOverloaded


class Shares:
    """Counts who holds how many places. Thread-safe.

    From the second on, a caller's n-th place must leave n places free. So one caller alone takes
    half of them at most, and the last free one always goes to somebody who holds none; `waiting`
    callers who hold none may take one beyond the places, and wait for it elsewhere.
    """

    def __init__(self, places: int, what: str, waiting: int = 0) -> None:
        self._places, self._what, self._waiting = places, what, waiting
        self._held: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, caller: str) -> Callable[[], None]:
        """Hold a place until the returned function is called. Raises AgentOverloaded."""
        with self._lock:
            held = self._held[caller]
            free = self._places - self._held.total() - 1
            if free < (held + 1 if held else -self._waiting):
                raise self._overloaded(held)
            self._held[caller] += 1
        holding = [caller]

        def release() -> None:
            with self._lock:
                if holding:
                    self._held -= Counter((holding.pop(),))

        return release

    @contextmanager
    def held(self, caller: str) -> Iterator[None]:
        """Hold a place for the block. Raises AgentOverloaded."""
        release = self.take(caller)
        try:
            yield
        finally:
            release()

    def _overloaded(self, held: int) -> AgentOverloaded:
        if not held:
            return AgentOverloaded(
                f"the agent runs {self._places} {self._what} at once and all are taken; "
                "try again in a moment",
                limit=str(self._places),
            )
        return AgentOverloaded(
            f"you have {held} {self._what} running, of {self._places} that the agent runs at once, "
            "and those left are kept for callers with fewer; finish one and try again",
            limit=str(held),
        )
