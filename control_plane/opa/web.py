"""OPA's own HTTP APIs: bundles, status and decision logs, for OPAs that are no agents."""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from aiohttp import web

from control_plane.audit.tails import TailSlots
from control_plane.authorization import Authorization
from control_plane.notices import Notices
from control_plane.opa.bundles import Bundle
from control_plane.opa.connections import Connections
from control_plane.opa.reports import OpaReports
from control_plane.opa.source import BundleSource
from mesh.errors import MeshError, RequestInvalid, RequestTooLarge
from mesh.identity.principal import Caller
from mesh.names import NAME_RULE, is_name
from mesh.wire.failures import failure

MAX_BODY_BYTES = 1024 * 1024
# OPA takes a bundle server at its word that it can wait when it answers with this type.
BUNDLE_TYPE = "application/vnd.openpolicyagent.bundles"
_RECEIVE_SECONDS = 30.0
_SEND_SECONDS = 60.0
_LONGEST_WAIT = 300.0
_POLLS_OF_ONE, _POLLS_OF_ALL = 256, 480
_UPLOADS = 64
_WAIT = re.compile(r"(?:^|[;,\s])wait=(\d{1,6})(?:$|[;,\s])", re.ASCII)
_HTTP = {
    "NOT_FOUND": 404,
    "INVALID_ARGUMENT": 400,
    "ALREADY_EXISTS": 409,
    "FAILED_PRECONDITION": 409,
    "ABORTED": 409,
    "PERMISSION_DENIED": 403,
    "UNAUTHENTICATED": 401,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
}
_log = logging.getLogger(__name__)
_T = TypeVar("_T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class WebParts:
    """What the handlers work with; `threads` do everything that blocks."""

    authorization: Authorization
    source: BundleSource
    reports: OpaReports
    notices: Notices
    threads: Executor
    clock: Callable[[], datetime]


class OpaApplication:
    """The handlers; nothing in them blocks the loop, which serves gRPC too."""

    def __init__(self, parts: WebParts, connections: Connections) -> None:
        self._parts, self._connections = parts, connections
        self._polls = TailSlots(_POLLS_OF_ONE, _POLLS_OF_ALL, "waiting bundle requests")
        self._uploads = asyncio.Semaphore(_UPLOADS)

    def application(self) -> web.Application:
        """The routes, behind what bounds and answers for all of them."""
        made = web.Application(middlewares=[self._bounded])
        made.add_routes(
            [
                web.get("/opa/bundles/{domain}.tar.gz", self._bundle, allow_head=False),
                web.post("/opa/status/{domain}", self._status),
                web.post("/opa/logs/{domain}", self._logs),
            ]
        )
        return made

    @web.middleware
    async def _bounded(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        self._connections.begun(request.transport)
        try:
            response = await handler(request)
        except web.HTTPException:
            raise
        except Exception as error:  # noqa: BLE001 - the boundary: everything becomes an answer
            response = _failed(error, request.path)
        try:
            async with asyncio.timeout(_SEND_SECONDS):
                await response.prepare(request)
                await response.write_eof()
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        return response

    async def _bundle(self, request: web.Request) -> web.StreamResponse:
        domain, caller = await self._admitted(request, "/opa/bundles")
        known = _tags(request.headers.get("If-None-Match", ""))
        bundle = await self._threaded(self._parts.source.bundle, domain)
        wait = min(_wait(request.headers.get("Prefer", "")), self._remaining(caller))
        if bundle.tag in known and wait > 0:
            with self._polls.taken(caller.principal.reference):
                bundle = await self._changed(domain, known, bundle, wait)
        headers = {"ETag": bundle.tag, "Cache-Control": "no-store"}
        if bundle.tag in known:
            return web.Response(status=304, headers=headers)
        return web.Response(body=bundle.content, content_type=BUNDLE_TYPE, headers=headers)

    async def _changed(
        self, domain: str, known: frozenset[str], bundle: Bundle, wait: float
    ) -> Bundle:
        """The first bundle with another tag; the same when none comes in time."""
        notices = self._parts.notices
        try:
            async with asyncio.timeout(wait):
                while bundle.tag in known:
                    notices.check_open()
                    change = notices.next_change()
                    bundle = await self._threaded(
                        self._parts.source.bundle, domain, notices.revision
                    )
                    if bundle.tag in known:
                        await change.wait()
        except TimeoutError:
            pass
        return bundle

    async def _status(self, request: web.Request) -> web.StreamResponse:
        return await self._taken(request, "/opa/status", self._parts.reports.take_status)

    async def _logs(self, request: web.Request) -> web.StreamResponse:
        return await self._taken(request, "/opa/logs", self._parts.reports.take_log)

    async def _taken(
        self, request: web.Request, method: str, take: Callable[..., None]
    ) -> web.StreamResponse:
        domain, caller = await self._admitted(request, method)
        encoding = request.headers.get("Content-Encoding", "").strip().lower()
        async with self._uploads:
            body = await _body(request)
            await self._threaded(take, caller.principal, domain, body, encoding)
        return web.Response(status=200)

    async def _admitted(self, request: web.Request, method: str) -> tuple[str, Caller]:
        """The domain of the path, and who has the duty for it."""
        domain = request.match_info["domain"]
        if not is_name(domain):
            raise RequestInvalid(f"a domain is {NAME_RULE}", field="domain")
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        shown = token.strip() if scheme.lower() == "bearer" else ""
        admit = self._parts.authorization.admit
        caller = await self._threaded(admit, method, shown, domain)
        if caller is None:
            raise RequestInvalid("nobody may do this without a token", field="authorization")
        return domain, caller

    def _remaining(self, caller: Caller) -> float:
        return (caller.expires - self._parts.clock()).total_seconds()

    async def _threaded(self, step: Callable[..., _T], *given: object) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._parts.threads, step, *given)


async def _body(request: web.Request) -> bytes:
    """The body as it was sent. Raises RequestTooLarge and RequestInvalid for one that is slow."""
    received = bytearray()
    try:
        async with asyncio.timeout(_RECEIVE_SECONDS):
            async for chunk in request.content.iter_any():
                received += chunk
                if len(received) > MAX_BODY_BYTES:
                    raise RequestTooLarge(
                        f"a body is at most {MAX_BODY_BYTES} bytes", limit=str(MAX_BODY_BYTES)
                    )
    except TimeoutError:
        raise RequestInvalid("the body took too long to come", field="body") from None
    return bytes(received)


def _failed(error: Exception, path: str) -> web.Response:
    """What OPA shows in its log and status: the reason id and the message."""
    end = failure(error, path, _log)
    status = _HTTP.get(end.code.name, 500)
    if isinstance(error, RequestTooLarge):
        status = 413
    reason = error.reason if isinstance(error, MeshError) else "internal.error"
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return web.json_response(
        {"code": reason, "message": end.message}, status=status, headers=headers
    )


def _tags(stated: str) -> frozenset[str]:
    """The entity tags of If-None-Match; OPA sends first the one it has."""
    return frozenset(tag.strip().removeprefix("W/") for tag in stated.split(","))


def _wait(preferences: str) -> float:
    """For how many seconds a caller prefers to wait, as RFC 7240 says and OPA writes."""
    found = _WAIT.search(preferences)
    return min(float(found[1]), _LONGEST_WAIT) if found else 0.0
