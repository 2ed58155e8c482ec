"""A control plane for the command line's tests: real gRPC, answers stated by the test."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import getLogger
from typing import Any

import grpc
from google.protobuf.message import Message

from mesh.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    agreements_pb2,
    agreements_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    contracts_pb2,
    contracts_pb2_grpc,
    erasures_pb2,
    erasures_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    logs_pb2,
    logs_pb2_grpc,
    opas_pb2,
    opas_pb2_grpc,
    policies_pb2,
    policies_pb2_grpc,
    purposes_pb2,
    purposes_pb2_grpc,
    status_pb2,
    status_pb2_grpc,
)
from mesh.wire.failures import failure

Answer = Message | Exception | Callable[[Any], Message | list[Any]]


@dataclass(slots=True)
class Asked:
    """One call as it arrived."""

    method: str
    request: Any
    metadata: dict[str, str | bytes]


@dataclass(slots=True)
class ControlPlane:
    """Answers by method name, and what was asked."""

    address: str = ""
    answers: dict[str, Answer | list[Answer]] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)

    def last(self, method: str) -> Any:
        """The latest request of a method."""
        return next(a.request for a in reversed(self.asked) if a.method == method)

    def handle(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        """The next answer stated for a method; the last one stays."""
        metadata = {str(key): value for key, value in context.invocation_metadata() or ()}
        self.asked.append(Asked(method, request, metadata))
        stated = self.answers.get(method, NotImplementedError(method))
        if isinstance(stated, list):
            stated = stated.pop(0) if len(stated) > 1 else stated[0]
        if isinstance(stated, Exception):
            end = failure(stated, method, getLogger("test"))
            context.set_trailing_metadata(end.trailing)
            context.abort(end.code, end.message)
        return stated(request) if callable(stated) else stated


SERVICES = (
    (agents_pb2, agents_pb2_grpc, "AgentService"),
    (agreements_pb2, agreements_pb2_grpc, "AgreementService"),
    (audit_pb2, audit_pb2_grpc, "AuditService"),
    (contracts_pb2, contracts_pb2_grpc, "ContractService"),
    (erasures_pb2, erasures_pb2_grpc, "ErasureService"),
    (identity_pb2, identity_pb2_grpc, "IdentityService"),
    (logs_pb2, logs_pb2_grpc, "LogService"),
    (opas_pb2, opas_pb2_grpc, "OpaService"),
    (policies_pb2, policies_pb2_grpc, "PolicyService"),
    (purposes_pb2, purposes_pb2_grpc, "PurposeService"),
    (status_pb2, status_pb2_grpc, "StatusService"),
)


def _servicer(control: ControlPlane, base: type, methods: list[str], streams: set[str]) -> object:
    """A servicer of one service that hands every call to the control plane."""

    def unary(name: str) -> Callable[[object, Any, grpc.ServicerContext], Any]:
        return lambda self, request, context: control.handle(name, request, context)

    def stream(name: str) -> Callable[[object, Any, grpc.ServicerContext], Iterator[Any]]:
        def answer(self: object, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            yield from control.handle(name, request, context)

        return answer

    served = {name: stream(name) if name in streams else unary(name) for name in methods}
    kind = type(base.__name__, (base,), served)
    return kind()


@contextmanager
def serving() -> Iterator[ControlPlane]:
    """A control plane on a free port."""
    control = ControlPlane()
    server = grpc.server(ThreadPoolExecutor(4))
    for messages, stubs, name in SERVICES:
        described = messages.DESCRIPTOR.services_by_name[name].methods
        streams = {method.name for method in described if method.server_streaming}
        base = getattr(stubs, f"{name}Servicer")
        servicer = _servicer(control, base, [method.name for method in described], streams)
        getattr(stubs, f"add_{name}Servicer_to_server")(servicer, server)
    control.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield control
    finally:
        server.stop(None).wait()
