"""A way to a server that is slow, silent or cut when a test says so, over real TCP."""

import asyncio
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

_Result = TypeVar("_Result")
_CHUNK = 65_536
_RESET = struct.pack("ii", 1, 0)
_CALL_SECONDS = 30.0


@dataclass(slots=True, eq=False)
class _Connection:
    """Both ends of one connection. `spoilt` once an answer was swallowed: none follows it."""

    writers: tuple[asyncio.StreamWriter, asyncio.StreamWriter]
    spoilt: bool = False

    def close(self, *, reset: bool) -> None:
        """End it, with RST so that what is under way is lost too."""
        for writer in self.writers:
            if not reset:
                writer.close()
                continue
            ours: socket.socket = writer.get_extra_info("socket")
            with suppress(OSError):
                ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            writer.transport.abort()


class Proxy:
    """Forwards connections to `target`, which may be set later, from a loop in its own thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._connections: set[_Connection] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._answered = asyncio.Event()
        self._deaf = False
        self._refuses = False
        self.target = ""
        self.delay = 0.0
        self.port = 0

    @property
    def address(self) -> str:
        """Where clients connect."""
        return f"127.0.0.1:{self.port}"

    def drop(self) -> None:
        """Close every connection in order."""
        self._told(self._end(reset=False))

    def reset(self) -> None:
        """Cut every connection with RST."""
        self._told(self._end(reset=True))

    def hold(self) -> None:
        """Half-open: connections are accepted and stay, and nothing goes through any more."""
        self._told(self._set(self._flowing.clear))

    def release(self, *, lost: bool) -> None:
        """Let it through again; `lost`: on new connections only, the old ones are dead."""
        if lost:
            self.reset()
        self._told(self._set(self._flowing.set))

    def refuse(self, *, on: bool) -> None:
        """Cut what connects at once."""

        async def switch() -> None:
            self._refuses = on

        self._told(switch())

    def swallow_answer(self, seconds: float) -> bool:
        """Forward requests, but cut before the answers; False when none came in that time."""

        async def swallow() -> bool:
            self._answered.clear()
            self._deaf = True
            try:
                async with asyncio.timeout(seconds):
                    await self._answered.wait()
            except TimeoutError:
                return False
            finally:
                await self._end(reset=True)
                self._deaf = False
            return True

        return self._told(swallow(), seconds)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client's connection."""
        host, _, port = self.target.rpartition(":")
        if self._refuses:
            _Connection((writer, writer)).close(reset=True)
            return
        try:
            there, back = await asyncio.open_connection(host, int(port))
        except (OSError, ValueError):
            writer.close()
            return
        connection = _Connection((writer, back))
        self._connections.add(connection)
        try:
            await asyncio.gather(
                self._pump(connection, reader, back, answers=False),
                self._pump(connection, there, writer, answers=True),
            )
        finally:
            self._connections.discard(connection)
            connection.close(reset=False)
            for one in connection.writers:
                with suppress(OSError):
                    await one.wait_closed()

    async def _pump(
        self,
        connection: _Connection,
        source: asyncio.StreamReader,
        target: asyncio.StreamWriter,
        *,
        answers: bool,
    ) -> None:
        with suppress(OSError):
            while data := await source.read(_CHUNK):
                await self._flowing.wait()
                await asyncio.sleep(self.delay)
                if answers and (self._deaf or connection.spoilt):
                    connection.spoilt = True
                    self._answered.set()
                    continue
                target.write(data)
                await target.drain()
        # Either end's leaving is the other's.
        target.close()

    async def _set(self, step: Callable[[], None]) -> None:
        step()

    async def _end(self, *, reset: bool) -> None:
        for connection in list(self._connections):
            connection.close(reset=reset)

    def _told(self, step: Coroutine[Any, Any, _Result], more: float = 0.0) -> _Result:
        return asyncio.run_coroutine_threadsafe(step, self._loop).result(_CALL_SECONDS + more)


@contextmanager
def proxied(target: str = "") -> Iterator[Proxy]:
    """A proxy on a free port, until the block ends."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxy")
    thread.start()

    def run(step: Awaitable[_Result]) -> _Result:
        async def stepped() -> _Result:
            return await step

        return asyncio.run_coroutine_threadsafe(stepped(), loop).result(_CALL_SECONDS)

    proxy = Proxy(loop)
    proxy.target = target
    server = run(asyncio.start_server(proxy.serve, "127.0.0.1", 0))
    proxy.port = server.sockets[0].getsockname()[1]

    async def ended() -> None:
        server.close()
        tasks = [one for one in asyncio.all_tasks() if one is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    try:
        yield proxy
    finally:
        run(ended())
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
