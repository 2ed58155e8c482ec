"""Connections are bounded in number, and each must send its first request in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from control_plane.opa.connections import Connections


class Echo(asyncio.Protocol):
    """Says that it is there, and then what it hears."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(b"!")

    def data_received(self, data: bytes) -> None:
        self.transport.write(data)


class Begun(Echo):
    """Counts the first data as a whole request."""

    connections: Connections

    def data_received(self, data: bytes) -> None:
        self.connections.begun(self.transport)
        super().data_received(data)


@asynccontextmanager
async def served(connections: Connections, kind: type[Echo]) -> AsyncIterator[int]:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(connections.bounded(kind), "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def said(reader: asyncio.StreamReader) -> bytes:
    """What comes, empty at the end."""
    try:
        return await asyncio.wait_for(reader.read(10), 10)
    except ConnectionError:
        return b""


def test_one_too_many_ends_at_once_and_has_room_after_another_left() -> None:
    async def run() -> None:
        async with served(Connections(most=2), Echo) as port:
            first = await asyncio.open_connection("127.0.0.1", port)
            second = await asyncio.open_connection("127.0.0.1", port)
            assert [await said(first[0]), await said(second[0])] == [b"!", b"!"]
            surplus = await asyncio.open_connection("127.0.0.1", port)
            assert await said(surplus[0]) == b""
            first[1].close()
            await first[1].wait_closed()
            while True:
                third = await asyncio.open_connection("127.0.0.1", port)
                heard = await said(third[0])
                third[1].close()
                if heard:
                    break
            assert heard == b"!"
            second[1].write(b"still here")
            assert await said(second[0]) == b"still here"
            second[1].close()
            surplus[1].close()

    asyncio.run(asyncio.wait_for(run(), 20))


def test_who_sends_no_request_is_cut_off_and_who_does_is_not() -> None:
    async def run() -> None:
        connections = Connections(seconds=0.2)
        Begun.connections = connections
        async with served(connections, Begun) as port:
            slow = await asyncio.open_connection("127.0.0.1", port)
            quick = await asyncio.open_connection("127.0.0.1", port)
            assert [await said(slow[0]), await said(quick[0])] == [b"!", b"!"]
            quick[1].write(b"request")
            assert await said(quick[0]) == b"request"
            assert await said(slow[0]) == b""
            quick[1].write(b"more")
            assert await said(quick[0]) == b"more"
            for _, writer in (slow, quick):
                writer.close()

    asyncio.run(asyncio.wait_for(run(), 20))
