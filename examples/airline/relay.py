"""The way from an agent to the control plane, which can be cut: `python -m … relay HOST:PORT`."""

import asyncio
import signal
import subprocess
import sys
from contextlib import suppress

from examples.airline.processes import ROOT

_CHUNK = 65_536


class Relay:
    """A process that forwards connections. While it is cut, nothing passes and nobody is told."""

    def __init__(self, target: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "examples.airline.relay", target],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        self.address = self._process.stdout.readline().strip()

    def cut(self) -> None:
        """Let nothing pass."""
        self._process.send_signal(signal.SIGSTOP)

    def mend(self) -> None:
        """Let everything pass again."""
        self._process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


async def _forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    writer.close()


async def _serve(target: str) -> None:
    host, _, port = target.rpartition(":")

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(port))
        await asyncio.gather(_forward(reader, back), _forward(there, writer))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    name = server.sockets[0].getsockname()
    sys.stdout.write(f"{name[0]}:{name[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
