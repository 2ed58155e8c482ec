"""No principal holds more than a share of the workers, so that others find one."""

import threading
from collections import Counter
from collections.abc import Callable

from mesh.errors import AgentOverloaded


class Shares:
    """Counts the running statements of each principal. Thread-safe."""

    def __init__(self, each: int) -> None:
        self._each = each
        self._running: Counter[str] = Counter()
        self._lock = threading.Lock()

    def take(self, principal: str) -> Callable[[], None]:
        """Hold a place until the returned function is called. Raises AgentOverloaded."""
        with self._lock:
            if self._running[principal] >= self._each:
                raise AgentOverloaded(
                    f"{principal} has {self._each} statements running, as many as one caller may "
                    "at this agent; finish one and try again",
                    limit=str(self._each),
                )
            self._running[principal] += 1
        held = [principal]

        def release() -> None:
            with self._lock:
                if held:
                    self._running -= Counter((held.pop(),))

        return release
