"""Every call passes here: who calls, may they, is it too large, and what an error becomes."""

from __future__ import annotations  # gRPC's classes are generic in their stubs only

import asyncio
import inspect
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, Never, Protocol, TypeVar

import grpc
from google.protobuf.message import Message
from grpc import aio

from control_plane.calls import CALLER
from control_plane.database import TransactionInterrupted
from mesh.errors import RequestTooLarge
from mesh.identity.principal import Caller
from mesh.names import is_name
from mesh.wire.failures import failure

MAX_REQUEST_BYTES = 1024 * 1024
# Long enough for a database to restart; a longer absence is the client's to wait for.
_PAUSES = (0.05, 0.2, 0.5, 1.0, 2.0)

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")
_FACTORIES: dict[tuple[bool, bool], Callable[..., Any]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


class Admission(Protocol):
    """Decides who calls and whether they may."""

    def admit(self, method: str, token: str, domain: str | None) -> Caller | None:
        """The caller, None on a call open to anybody. Raises what refuses it."""


class CallInterceptor(aio.ServerInterceptor):
    """Admits calls, tells handlers who calls, and turns what they raise into statuses."""

    def __init__(self, admission: Admission, log: logging.Logger) -> None:
        self._admission = admission
        self._log = log

    async def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails],
            Awaitable[grpc.RpcMethodHandler[_Request, _Response] | None],
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[_Request, _Response] | None:
        """The handler, wrapped in its own shape; an unknown method stays unknown."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        inner: Any = (
            handler.unary_unary
            or handler.unary_stream
            or handler.stream_unary
            or handler.stream_stream
        )
        method = handler_call_details.method
        if inspect.isasyncgenfunction(inner):
            wrapped: Callable[..., Any] = self._generator(inner, method)
        elif inspect.iscoroutinefunction(inner):
            wrapped = self._coroutine(inner, method)
        else:
            wrapped = self._function(inner, method)
        factory = _FACTORIES[(handler.request_streaming, handler.response_streaming)]
        made: grpc.RpcMethodHandler[_Request, _Response] = factory(
            wrapped, handler.request_deserializer, handler.response_serializer
        )
        return made

    def _function(self, inner: Callable[..., Any], method: str) -> Callable[..., Any]:
        def handle(request: object, context: grpc.ServicerContext) -> object:
            def answer() -> object:
                CALLER.set(self._admit(method, request, context))
                return inner(request, context)

            try:
                return _uninterrupted(answer)
            except aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: everything becomes a status
                end = failure(error, method, self._log)
                context.set_trailing_metadata(end.trailing)
                return context.abort(end.code, end.message)

        return handle

    def _coroutine(self, inner: Callable[..., Any], method: str) -> Callable[..., Any]:
        async def handle(request: object, context: aio.ServicerContext[Any, Any]) -> object:
            try:
                CALLER.set(await asyncio.to_thread(self._admit, method, request, context))
                return await inner(request, context)
            except aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: everything becomes a status
                return await self._abort(error, method, context)

        return handle

    def _generator(self, inner: Callable[..., Any], method: str) -> Callable[..., Any]:
        async def handle(
            request: object, context: aio.ServicerContext[Any, Any]
        ) -> AsyncIterator[object]:
            try:
                CALLER.set(await asyncio.to_thread(self._admit, method, request, context))
                async with aclosing(inner(request, context)) as responses:
                    async for response in responses:
                        yield response
            except aio.AbortError:
                raise
            except Exception as error:  # noqa: BLE001 - the boundary: everything becomes a status
                await self._abort(error, method, context)

        return handle

    async def _abort(
        self, error: Exception, method: str, context: aio.ServicerContext[Any, Any]
    ) -> Never:
        end = failure(error, method, self._log)
        context.set_trailing_metadata(end.trailing)
        await context.abort(end.code, end.message)

    def _admit(
        self,
        method: str,
        request: object,
        context: grpc.ServicerContext | aio.ServicerContext[Any, Any],
    ) -> Caller | None:
        if isinstance(request, Message) and request.ByteSize() > MAX_REQUEST_BYTES:
            raise RequestTooLarge(
                f"the request is {request.ByteSize()} bytes; at most {MAX_REQUEST_BYTES} are taken",
                limit=str(MAX_REQUEST_BYTES),
            )
        domain = getattr(request, "domain", None)
        known = domain if isinstance(domain, str) and is_name(domain) else None
        return self._admission.admit(method, _bearer(context), known)


def _uninterrupted(answer: Callable[[], object]) -> object:
    """Answer again where the database interrupted and holds nothing of it, a few times."""
    for pause in _PAUSES:
        with suppress(TransactionInterrupted):
            return answer()
        time.sleep(pause)
    return answer()


def _bearer(context: grpc.ServicerContext | aio.ServicerContext[Any, Any]) -> str:
    """The token of `authorization: Bearer …`; empty when there is none."""
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str):
            scheme, _, token = value.partition(" ")
            return token.strip() if scheme.lower() == "bearer" else ""
    return ""
