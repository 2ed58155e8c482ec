"""An agent for the command line's tests: real Flight on gRPC, rows stated by the test."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from logging import getLogger

import grpc
import pyarrow as pa
from google.protobuf.any_pb2 import Any as AnyMessage

from mesh import errors
from mesh.arrow import flight_pb2, flight_sql_pb2
from mesh.wire.failures import failure
from tests.unit.cli.samples import RECEIPT_ID


@dataclass(slots=True)
class Agent:
    """What the agent serves, where it fails, and what it was asked."""

    uri: str = ""
    batches: list[pa.RecordBatch] = field(default_factory=list)
    refuses: errors.MeshError | None = None
    breaks_after: int | None = None
    receipt: str | None = RECEIPT_ID
    statements: list[str] = field(default_factory=list)
    metadata: list[dict[str, str | bytes]] = field(default_factory=list)
    cancelled: bool = False


class _Flight:
    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    def GetFlightInfo(
        self, request: flight_pb2.FlightDescriptor, context: grpc.ServicerContext
    ) -> flight_pb2.FlightInfo:
        packed, query = AnyMessage(), flight_sql_pb2.CommandStatementQuery()
        packed.ParseFromString(request.cmd)
        assert packed.Unpack(query)
        self._agent.statements.append(query.query)
        metadata = context.invocation_metadata() or ()
        self._agent.metadata.append({str(key): value for key, value in metadata})
        if self._agent.refuses is not None:
            _refuse(self._agent.refuses, context)
        ticket = flight_pb2.Ticket(ticket=b"once")
        return flight_pb2.FlightInfo(endpoint=[flight_pb2.FlightEndpoint(ticket=ticket)])

    def DoGet(
        self, request: flight_pb2.Ticket, context: grpc.ServicerContext
    ) -> Iterator[flight_pb2.FlightData]:
        agent = self._agent
        if agent.receipt is not None:
            context.send_initial_metadata((("x-mesh-receipt", agent.receipt),))
        try:
            for number, message in enumerate(_messages(agent.batches)):
                if agent.breaks_after == number:
                    _refuse(errors.StatementRevoked("the agreement was revoked"), context)
                yield message
        except GeneratorExit:
            agent.cancelled = True
            raise


def _handlers(flight: _Flight) -> grpc.GenericRpcHandler:
    """The two calls that the command line makes."""
    info = grpc.unary_unary_rpc_method_handler(
        flight.GetFlightInfo,
        flight_pb2.FlightDescriptor.FromString,
        flight_pb2.FlightInfo.SerializeToString,
    )
    get = grpc.unary_stream_rpc_method_handler(
        flight.DoGet, flight_pb2.Ticket.FromString, flight_pb2.FlightData.SerializeToString
    )
    service = "arrow.flight.protocol.FlightService"
    return grpc.method_handlers_generic_handler(service, {"GetFlightInfo": info, "DoGet": get})


def _messages(batches: list[pa.RecordBatch]) -> Iterator[flight_pb2.FlightData]:
    """A stream's messages, dictionaries among them, cut from what Arrow writes."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    for message in pa.ipc.MessageReader.open_stream(sink.getvalue()):
        body = message.body.to_pybytes() if message.body is not None else b""
        yield flight_pb2.FlightData(data_header=message.metadata.to_pybytes(), data_body=body)


def _refuse(error: errors.MeshError, context: grpc.ServicerContext) -> None:
    end = failure(error, "Flight", getLogger("test"))
    context.set_trailing_metadata(end.trailing)
    context.abort(end.code, end.message)


@contextmanager
def serving_agent() -> Iterator[Agent]:
    """An agent on a free port."""
    agent = Agent()
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((_handlers(_Flight(agent)),))
    agent.uri = f"grpc://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield agent
    finally:
        server.stop(None).wait()
