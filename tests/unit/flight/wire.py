"""Raw Flight calls, to say what no well-behaved client would."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from domain_agent.flight.commands import decode, encode
from mesh import errors
from mesh.arrow import flight_pb2 as flight
from mesh.arrow import flight_sql_pb2 as sql
from mesh.arrow.flight_pb2_grpc import FlightServiceStub
from mesh.wire.status import from_rpc_error

Metadata = tuple[tuple[str, str], ...]
DELAYS = "SELECT * FROM ops.flights.delays"


def descriptor(command: Any) -> flight.FlightDescriptor:
    return flight.FlightDescriptor(type=flight.FlightDescriptor.CMD, cmd=encode(command))


def info(channel: grpc.Channel, metadata: Metadata, query: str = DELAYS) -> flight.FlightInfo:
    command = sql.CommandStatementQuery(query=query)
    return FlightServiceStub(channel).GetFlightInfo(
        descriptor(command), metadata=metadata, timeout=20
    )


def stream(channel: grpc.Channel, metadata: Metadata, query: str = DELAYS) -> Any:
    ticket = info(channel, metadata, query).endpoint[0].ticket
    return FlightServiceStub(channel).DoGet(ticket, metadata=metadata, timeout=60)


def act(channel: grpc.Channel, metadata: Metadata, kind: str, body: bytes) -> Sequence[bytes]:
    action = flight.Action(type=kind, body=body)
    results = FlightServiceStub(channel).DoAction(action, metadata=metadata, timeout=20)
    return [result.body for result in results]


def prepared(channel: grpc.Channel, metadata: Metadata, query: str = DELAYS) -> bytes:
    request = sql.ActionCreatePreparedStatementRequest(query=query)
    (body,) = act(channel, metadata, "CreatePreparedStatement", encode(request))
    result = decode(body)
    assert isinstance(result, sql.ActionCreatePreparedStatementResult)
    return result.prepared_statement_handle


def raw(channel: grpc.Channel, method: str) -> Any:
    """A method that takes and gives bytes, as many messages as one likes."""
    call: Any = channel.stream_stream(f"/arrow.flight.protocol.FlightService/{method}")
    return call


def health(channel: grpc.Channel) -> Any:
    return health_pb2_grpc.HealthStub(channel)


def is_serving(channel: grpc.Channel, name: str = "") -> bool:
    answer = health(channel).Check(health_pb2.HealthCheckRequest(service=name), timeout=20)
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def refusal(call: Callable[[], Any]) -> errors.MeshError:
    """The error that a call ends with; a stream is read to its end."""
    try:
        result = call()
        if isinstance(result, Iterator):
            list(result)
    except grpc.RpcError as error:
        return from_rpc_error(error, "the agent")
    raise AssertionError("the call was not refused")
