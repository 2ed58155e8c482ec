"""Wakes the streams when something was committed, here or by another replica."""

import asyncio
from dataclasses import dataclass

from mesh.errors import ControlUnavailable


@dataclass(frozen=True, slots=True)
class Heads:
    """Where the mesh stands: the latest change, and the latest line of the timeline."""

    revision: int
    position: int


class Notices:
    """One commit wakes every waiter of its kind. `commit` may be called from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._heads = Heads(0, 0)
        self._changed = asyncio.Event()
        self._arrived = asyncio.Event()
        self._closed = False

    @property
    def revision(self) -> int:
        """The latest revision that this process knows of."""
        return self._heads.revision

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Deliver on this loop; commits before that wake nobody, as nobody waits."""
        self._loop = loop

    def commit(self, heads: Heads) -> None:
        """Something was committed."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self.advance, heads)

    def advance(self, heads: Heads) -> None:
        """Wake who waits for what moved; only on the loop."""
        old = self._heads
        self._heads = Heads(max(old.revision, heads.revision), max(old.position, heads.position))
        if self._heads.revision > old.revision:
            event, self._changed = self._changed, asyncio.Event()
            event.set()
        if self._heads.position > old.position:
            event, self._arrived = self._arrived, asyncio.Event()
            event.set()

    def next_change(self) -> asyncio.Event:
        """Set at the next revision. Take it before looking, so that none is missed."""
        return self._changed

    def next_arrival(self) -> asyncio.Event:
        """Set at the next position. Take it before looking, so that none is missed."""
        return self._arrived

    def close(self) -> None:
        """Wake every waiter for the last time; only on the loop."""
        self._closed = True
        self._changed.set()
        self._arrived.set()

    def check_open(self) -> None:
        """End a stream of a control plane that stops. Raises ControlUnavailable."""
        if self._closed:
            raise ControlUnavailable("the control plane is stopping; connect again", server="")
