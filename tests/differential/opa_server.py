"""A real OPA server of its own, on a free port of the loopback or on a Unix socket."""

import http.client
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from mesh.decisions.opa_connections import opa_address

_ROOT = Path(__file__).parents[2]
_TRIES = 400


def opa_binary() -> str:
    """The OPA that `make install` puts into the cache, or one on PATH."""
    cached = _ROOT / ".cache" / "bin" / "opa"
    found = str(cached) if cached.exists() else shutil.which("opa")
    assert found, "no opa: run `make install`"
    return found


def free_port() -> int:
    """A port nobody listens on now."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class OpaServer:
    """A server that can be stopped and started again at its address, a port or a socket's path.

    `options` are added to its command line: a configuration, policies to start with.
    """

    listen: int | Path
    options: tuple[str, ...] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def url(self) -> str:
        if isinstance(self.listen, Path):
            return f"unix://{self.listen}"
        return f"http://127.0.0.1:{self.listen}"

    def start(self) -> None:
        """Start, and wait until it answers."""
        if isinstance(self.listen, Path):
            self.listen.unlink(missing_ok=True)  # a killed server leaves its socket behind
        address = self.url.removeprefix("http://")
        command = [opa_binary(), "run", "-s", "-a", address, "--log-level", "error"]
        self.process = subprocess.Popen(
            [*command, "--skip-version-check", *self.options], stderr=subprocess.DEVNULL
        )
        for _ in range(_TRIES):
            assert self.process.poll() is None, "opa ended at its start"
            with closing(opa_address(self.url).connection(1)) as asked:
                try:
                    asked.request("GET", "/health")
                    if asked.getresponse().status == http.client.OK:
                        return
                except OSError:
                    time.sleep(0.02)
        raise AssertionError("opa does not answer")

    def stop(self) -> None:
        """Kill it and wait."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def running_opa(socket_path: Path | None = None) -> Iterator[OpaServer]:
    """A server for the length of a block; on a free port unless a socket's path is given."""
    server = OpaServer(socket_path or free_port())
    server.start()
    try:
        yield server
    finally:
        server.stop()
