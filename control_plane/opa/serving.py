"""The HTTP server of OPA's APIs: where it listens, its TLS, its start and its end."""

import asyncio
import ssl
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime

from aiohttp import web

from control_plane.authorization import Authorization
from control_plane.database import Database
from control_plane.identity.keys import BundleKey
from control_plane.notices import Notices
from control_plane.opa.connections import Connections
from control_plane.opa.reports import OpaReports
from control_plane.opa.source import BundleSource
from control_plane.opa.web import OpaApplication, WebParts
from control_plane.settings import OPA_LISTEN, Settings, SettingsInvalid, Tls
from mesh.decisions.policy import Policy

_KEEP_ALIVE_SECONDS = 75.0
_HANDSHAKE_SECONDS = 10.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Common:
    """What this server shares with the rest of the control plane; the threads are its own."""

    database: Database
    authorization: Authorization
    notices: Notices
    threads: Executor
    clock: Callable[[], datetime]


def opa_server(common: Common, lookup: Policy, key: BundleKey, settings: Settings) -> "OpaServer":
    """A server that listens nowhere yet."""
    parts = WebParts(
        authorization=common.authorization,
        source=BundleSource(common.database, lookup, key, common.clock),
        reports=OpaReports(common.database, common.clock),
        notices=common.notices,
        threads=common.threads,
        clock=common.clock,
    )
    return OpaServer(parts, settings.opa_listen or OPA_LISTEN, settings.tls)


class OpaServer:
    """Serves from `start` to `stop`, in the loop that calls it."""

    def __init__(self, parts: WebParts, listen: str, tls: Tls | None) -> None:
        self._listen, self._tls = listen, tls
        self._connections = Connections()
        self._runner = web.AppRunner(
            OpaApplication(parts, self._connections).application(),
            handler_cancellation=True,
            keepalive_timeout=_KEEP_ALIVE_SECONDS,
            shutdown_timeout=_STOP_SECONDS,
            # A body is unpacked where its size is bounded.
            auto_decompress=False,
            access_log=None,
        )
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen; the address with the real port. Raises SettingsInvalid."""
        host, _, port = self._listen.rpartition(":")
        context = None if self._tls is None else _context(self._tls)
        await self._runner.setup()
        http = self._runner.server
        assert http is not None  # noqa: S101 - it is there after `setup`
        try:
            self._server = await asyncio.get_running_loop().create_server(
                self._connections.bounded(http),
                host.removeprefix("[").removesuffix("]"),
                int(port),
                ssl=context,
                ssl_handshake_timeout=None if context is None else _HANDSHAKE_SECONDS,
            )
        except OSError as error:
            raise SettingsInvalid(f"can't listen on {self._listen}: {error}") from error
        return f"{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Listen no more, and end what is served; waiting requests end with the notices."""
        if self._server is not None:
            self._server.close()
        await self._runner.cleanup()


def _context(tls: Tls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(tls.certificate, tls.key)
    except (OSError, ssl.SSLError) as error:
        raise SettingsInvalid(
            f"{tls.certificate} and {tls.key} can't be used for TLS: {error}"
        ) from error
    return context
