"""Bounds for whoever connects: how many at a time, and how long a first request may take."""

import asyncio
from collections.abc import Callable

# Well below the files that a process may have open: calls need theirs.
MOST = 512
FIRST_REQUEST_SECONDS = 15.0


class Connections:
    """Counts a server's connections. Belongs to one event loop."""

    def __init__(self, most: int = MOST, seconds: float = FIRST_REQUEST_SECONDS) -> None:
        self._most, self._seconds = most, seconds
        self._waiting: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}
        self._open = 0

    def bounded(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Make protocols that end at once where too many are connected."""
        return lambda: _Bounded(self, make())

    def begun(self, transport: asyncio.BaseTransport | None) -> None:
        """A whole head of a request came; the server's own limits hold from here."""
        waiting = self._waiting.pop(transport, None) if transport is not None else None
        if waiting is not None:
            waiting.cancel()

    def opened(self, transport: asyncio.Transport) -> bool:
        """Note a connection; False when it is one too many, and then it is over."""
        self._open += 1
        if self._open > self._most:
            transport.abort()
            return False
        loop = asyncio.get_running_loop()
        self._waiting[transport] = loop.call_later(self._seconds, transport.abort)
        return True

    def closed(self, transport: asyncio.BaseTransport) -> None:
        """Forget a connection."""
        self._open -= 1
        self.begun(transport)


class _Bounded(asyncio.Protocol):
    """Hands everything on, unless the connection is one too many."""

    def __init__(self, connections: Connections, inner: asyncio.Protocol) -> None:
        self._connections, self._inner = connections, inner
        self._transport: asyncio.BaseTransport | None = None
        self._is_served = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - TCP has no other
        self._transport = transport
        self._is_served = self._connections.opened(transport)
        if self._is_served:
            self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.closed(self._transport)
        if self._is_served:
            self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_served:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._is_served else None

    def pause_writing(self) -> None:
        if self._is_served:
            self._inner.pause_writing()

    def resume_writing(self) -> None:
        if self._is_served:
            self._inner.resume_writing()
