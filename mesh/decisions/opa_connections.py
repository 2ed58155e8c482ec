"""How an OPA server is reached: over TCP at `http://host:port`, or a Unix socket's path."""

import http.client
import socket
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

_FORMS = "an OPA server is given as http://host:port or unix:///path"


@dataclass(frozen=True, slots=True)
class OpaAddress:
    """Where a server listens; `path` is a Unix socket's, and then host and port say nothing."""

    host: str
    port: int
    path: Path | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}" if self.path is None else f"{self.path}"

    def connection(self, timeout: float) -> http.client.HTTPConnection:
        """A connection that is made at its first request."""
        if self.path is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=timeout)
        return _UnixConnection(self.path, timeout)


def opa_address(url: str) -> OpaAddress:
    """The address in a URL. Raises ValueError."""
    parts = urlsplit(url)
    if parts.query or parts.fragment or parts.username is not None:
        raise ValueError(f"{_FORMS}; found {url!r}")
    if parts.scheme == "http" and parts.hostname and parts.path in ("", "/"):
        return OpaAddress(parts.hostname, parts.port or 8181)
    if parts.scheme == "unix" and not parts.netloc and len(parts.path) > 1:
        return OpaAddress("localhost", 0, Path(unquote(parts.path)))
    raise ValueError(f"{_FORMS}; found {url!r}")


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path: Path, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        """Connect to the socket's path."""
        connecting = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connecting.settimeout(self.timeout)
            connecting.connect(str(self._path))
        except BaseException:
            connecting.close()
            raise
        self.sock = connecting
