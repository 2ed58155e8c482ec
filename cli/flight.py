"""Reading from an agent over Flight SQL: one statement, one stream, its receipt.

ADBC's driver keeps the response's metadata to itself, so it can't tell the receipt of a read that
was allowed; here the same calls are made directly.
"""

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import grpc
import pyarrow as pa
from google.protobuf.any_pb2 import Any

from cli.client import channel
from cli.connection import Address
from mesh import errors
from mesh.arrow import flight_pb2, flight_sql_pb2
from mesh.arrow.flight_pb2_grpc import FlightServiceStub
from mesh.wire.status import from_rpc_error

RECEIPT_KEY = "x-mesh-receipt"
MAX_MESSAGE = 64 * 1024 * 1024
_CONTINUATION = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Question:
    """One statement and its purpose; the agreement and the least revision, if they are named."""

    sql: str
    purpose: str
    agreement: str | None
    revision: int | None = None


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An agent, and how to prove to it who asks."""

    address: Address
    token: str
    roots: bytes | None
    timeout: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A read under way: its receipt, its schema, and its batches as they arrive."""

    receipt: str | None
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


@contextmanager
def reading(endpoints: Sequence[Endpoint], question: Question) -> Iterator[Reading]:
    """Ask the first agent that can answer. Leaving early cancels the read."""
    for index, endpoint in enumerate(endpoints):
        last = index == len(endpoints) - 1
        metadata = _metadata(endpoint, question)
        with channel(
            endpoint.address.target, endpoint.address.tls, endpoint.roots, MAX_MESSAGE
        ) as link:
            stub = FlightServiceStub(link)
            try:
                ticket = _ticket(stub, endpoint, question, metadata)
            except errors.Unavailable:
                if last:
                    raise
                continue
            with _stream(stub, ticket, metadata, endpoint.address.target) as answer:
                yield answer
            return


def _metadata(endpoint: Endpoint, question: Question) -> tuple[tuple[str, str], ...]:
    named = (("x-mesh-agreement", question.agreement),) if question.agreement else ()
    least = (("x-mesh-revision", str(question.revision)),) if question.revision else ()
    return (
        ("authorization", f"Bearer {endpoint.token}"),
        ("x-mesh-purpose", question.purpose),
        *named,
        *least,
    )


def _ticket(
    stub: FlightServiceStub,
    endpoint: Endpoint,
    question: Question,
    metadata: tuple[tuple[str, str], ...],
) -> flight_pb2.Ticket:
    command = Any()
    command.Pack(flight_sql_pb2.CommandStatementQuery(query=question.sql))
    descriptor = flight_pb2.FlightDescriptor(
        type=flight_pb2.FlightDescriptor.CMD, cmd=command.SerializeToString()
    )
    target = endpoint.address.target
    try:
        info = stub.GetFlightInfo(descriptor, timeout=endpoint.timeout, metadata=metadata)
    except grpc.RpcError as error:
        raise from_rpc_error(error, f"the agent at {target}") from error
    if len(info.endpoint) != 1:
        raise errors.InternalError(
            f"the agent at {target} answered with {len(info.endpoint)} endpoints instead of one"
        )
    return info.endpoint[0].ticket


@contextmanager
def _stream(
    stub: FlightServiceStub,
    ticket: flight_pb2.Ticket,
    metadata: tuple[tuple[str, str], ...],
    target: str,
) -> Iterator[Reading]:
    call = stub.DoGet(ticket, metadata=metadata)
    receipt: str | None = None
    try:
        headers = dict(call.initial_metadata() or ())
        told = headers.get(RECEIPT_KEY)
        receipt = told if isinstance(told, str) else None
        reader = pa.ipc.open_stream(_Messages(call))
        yield Reading(receipt, reader.schema, iter(reader))
    except grpc.RpcError as error:
        refused = from_rpc_error(error, f"the agent at {target}")
        if receipt is not None:
            refused.metadata.setdefault("receipt", receipt)
        raise refused from error
    except pa.ArrowInvalid as error:
        raise errors.InternalError(
            f"the agent at {target} sent a stream that is not Arrow: {error}"
        ) from error
    finally:
        call.cancel()


class _Messages(io.RawIOBase):
    """FlightData messages as the Arrow stream that they are parts of."""

    def __init__(self, call: Iterator[flight_pb2.FlightData]) -> None:
        super().__init__()
        self._call = call
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer).cast("B")  # type: ignore[arg-type] # any writable buffer
        while not self._left:
            message = next(self._call, None)
            if message is None:
                return 0
            self._left = memoryview(_encapsulated(message))
        size = min(len(target), len(self._left))
        target[:size] = self._left[:size]
        self._left = self._left[size:]
        return size


def _encapsulated(message: flight_pb2.FlightData) -> bytes:
    if not message.data_header:
        return b""
    header = message.data_header
    padding = -len(header) % 8
    prefix = struct.pack("<II", _CONTINUATION, len(header) + padding)
    return b"".join((prefix, header, b"\0" * padding, message.data_body))
