"""Handlers for a service's methods, made from its descriptor."""

from collections.abc import Iterator
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import DecodeError, Message

from domain_agent.interceptors import HANDLERS, Behaviour, Handler
from mesh import errors


def generic_handler(descriptor: ServiceDescriptor, service: object) -> grpc.GenericRpcHandler:
    """Serves each method with the service's attribute of that name."""
    handlers = {method.name: _handler(method, service) for method in descriptor.methods}
    return grpc.method_handlers_generic_handler(descriptor.full_name, handlers)


def _handler(method: MethodDescriptor, service: object) -> Handler:
    request_type = message_factory.GetMessageClass(method.input_type)
    decoding = _decoding_many if method.client_streaming else _decoding_one
    build = HANDLERS[bool(method.client_streaming), bool(method.server_streaming)]
    handler: Handler = build(decoding(getattr(service, method.name), request_type), None, _encoded)
    return handler


def _decoding_one(behaviour: Behaviour, request_type: type[Message]) -> Behaviour:
    return lambda raw, context: behaviour(_decoded(raw, request_type), context)


def _decoding_many(behaviour: Behaviour, request_type: type[Message]) -> Behaviour:
    def behave(raws: Iterator[bytes], context: grpc.ServicerContext) -> Any:
        return behaviour((_decoded(raw, request_type) for raw in raws), context)

    return behave


def _decoded(raw: bytes, request_type: type[Message]) -> Message:
    # grpcio would answer INTERNAL, as if the fault were the server's.
    try:
        return request_type.FromString(raw)
    except DecodeError:
        raise errors.RequestInvalid(
            f"The request is no {request_type.DESCRIPTOR.full_name}; use a Flight SQL client."
        ) from None


def _encoded(response: Message | bytes) -> bytes:
    return response if isinstance(response, bytes) else response.SerializeToString()
