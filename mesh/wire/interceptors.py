"""Errors become statuses on a synchronous gRPC server, for all four shapes of RPC."""

from __future__ import annotations  # gRPC's classes are generic in their stubs only

import logging
from collections.abc import Callable, Iterator
from typing import Any, Never, TypeVar

import grpc

from mesh.wire.failures import failure

_Request = TypeVar("_Request")
_Response = TypeVar("_Response")


class ErrorInterceptor(grpc.ServerInterceptor):
    """The first interceptor of a `grpc.server`: what any later part raises ends the call well."""

    def __init__(self, log: logging.Logger) -> None:
        self._log = log

    def intercept_service(
        self,
        continuation: Callable[
            [grpc.HandlerCallDetails], grpc.RpcMethodHandler[_Request, _Response] | None
        ],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> grpc.RpcMethodHandler[_Request, _Response] | None:
        """The handler, wrapped; an unknown method stays unknown."""
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        method = handler_call_details.method
        inner: Any = (
            handler.unary_unary
            or handler.stream_unary
            or handler.unary_stream
            or handler.stream_stream
        )
        if handler.response_streaming:
            make = (
                grpc.stream_stream_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_stream_rpc_method_handler
            )
            return make(
                self._streaming(inner, method),
                handler.request_deserializer,
                handler.response_serializer,
            )
        make_unary = (
            grpc.stream_unary_rpc_method_handler
            if handler.request_streaming
            else grpc.unary_unary_rpc_method_handler
        )
        return make_unary(
            self._single(inner, method), handler.request_deserializer, handler.response_serializer
        )

    def _single(self, inner: Callable[..., Any], method: str) -> Callable[..., Any]:
        def handle(request: object, context: grpc.ServicerContext) -> object:
            try:
                return inner(request, context)
            except Exception as error:  # noqa: BLE001 - the boundary: everything becomes a status
                return self._end(error, method, context)

        return handle

    def _streaming(self, inner: Callable[..., Any], method: str) -> Callable[..., Any]:
        def handle(request: object, context: grpc.ServicerContext) -> Iterator[object]:
            try:
                yield from inner(request, context)
            except Exception as error:  # noqa: BLE001 - the boundary: everything becomes a status
                self._end(error, method, context)

        return handle

    def _end(self, error: Exception, method: str, context: grpc.ServicerContext) -> Never:
        if context.code() is not None:  # type: ignore[attr-defined]
            raise error  # the handler has ended the call itself
        end = failure(error, method, self._log)
        context.set_trailing_metadata(end.trailing)
        context.abort(end.code, end.message)
