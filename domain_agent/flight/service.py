"""arrow.flight.protocol.FlightService over governed reads."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain

import grpc
import pyarrow as pa
from google.protobuf.message import Message

from domain_agent.flight import calls, catalog, commands, parameters, sql_info
from domain_agent.flight.actions import Actions
from domain_agent.flight.framing import batch_frame, schema_frame, split
from domain_agent.flight.ports import Batch, ReadContext, Reads, Verifier
from domain_agent.flight.shares import Shares
from domain_agent.flight.statements import PREPARED, Statement, Statements
from domain_agent.flight.streams import Opened, Readings
from domain_agent.flight.wiring import generic_handler
from domain_agent.interceptors import NotServed
from mesh import errors
from mesh.arrow import flight_pb2 as flight
from mesh.arrow import flight_sql_pb2 as sql

_DESCRIPTOR = flight.DESCRIPTOR.services_by_name["FlightService"]
_METADATA_ROWS = 256  # a message of metadata stays far below what clients accept


@dataclass(frozen=True, slots=True)
class FlightSettings:
    """How many streams run at once, and the version that clients are told."""

    streams: int
    version: str


class FlightService:
    """One agent's Flight SQL endpoint. Its methods carry the names of their RPCs."""

    name: str = _DESCRIPTOR.full_name

    def __init__(
        self,
        reads: Reads,
        verifier: Verifier,
        settings: FlightSettings,
        elapsed: Callable[[], float],
        randomness: Callable[[int], bytes],
    ) -> None:
        self._reads = reads
        self._verifier = verifier
        self._streams = Shares(settings.streams, "streams")
        # Preparing is short: few at once leave threads to everybody, also to streams and health.
        self._preparing = Shares(max(2, settings.streams // 2), "requests")
        self._readings = Readings()
        self._statements = Statements(reads, elapsed, randomness)
        self._actions = Actions(self._statements, self._readings)
        self._facts = sql_info.facts(settings.version, PREPARED.seconds)

    def register(self, server: grpc.Server) -> None:
        """Add the handlers."""
        server.add_generic_rpc_handlers((generic_handler(_DESCRIPTOR, self),))

    def stop(self) -> None:
        """Wait until the end of every reading is recorded; call it after the server stopped."""
        self._readings.stop()

    def Handshake(
        self, requests: Iterator[flight.HandshakeRequest], context: grpc.ServicerContext
    ) -> Iterator[flight.HandshakeResponse]:
        """Check the token and hand it back. Requests are not waited for: they say nothing."""
        token = calls.handshake_token(context)
        self._verifier.verify(token)
        answer = ((calls.AUTHORIZATION, f"Bearer {token}"),)
        context.send_initial_metadata(answer)
        context.set_trailing_metadata(answer)
        yield from ()

    def ListFlights(
        self, request: flight.Criteria, context: grpc.ServicerContext
    ) -> Iterator[flight.FlightInfo]:
        """Nothing: datasets are listed by Flight SQL's GetTables."""
        self._caller(context)
        yield from ()

    def GetFlightInfo(
        self, request: flight.FlightDescriptor, context: grpc.ServicerContext
    ) -> flight.FlightInfo:
        """The schema and a ticket; a statement is prepared, nothing is read."""
        caller = self._caller(context)
        command = commands.described(request)
        schema = catalog.schema(command)
        if schema is not None:
            return _info(request, schema.serialize().to_pybytes(), request.cmd)
        with self._preparing.held(caller.caller.principal.reference):
            statement = self._statement(command, caller)
        ticket = self._statements.ticket(caller, statement)
        return _info(request, statement.prepared.schema, ticket)

    def GetSchema(
        self, request: flight.FlightDescriptor, context: grpc.ServicerContext
    ) -> flight.SchemaResult:
        """The schema that reading would have."""
        caller = self._caller(context)
        command = commands.described(request)
        schema = catalog.schema(command)
        if schema is not None:
            return flight.SchemaResult(schema=schema.serialize().to_pybytes())
        with self._preparing.held(caller.caller.principal.reference):
            statement = self._statement(command, caller)
        return flight.SchemaResult(schema=statement.prepared.schema)

    def DoGet(self, request: flight.Ticket, context: grpc.ServicerContext) -> Iterator[bytes]:
        """The data, as FlightData messages framed by hand."""
        caller = self._caller(context)
        command = commands.decode(request.ticket)
        principal = caller.caller.principal.reference
        with self._streams.held(principal):
            if isinstance(command, sql.TicketStatementQuery):
                statement = self._statements.redeem(caller, command)
                reading = self._reads.open(caller, statement.prepared, statement.parameters)
                opened = Opened(reading, statement.prepared.schema, principal, request.ticket)
                yield from self._readings.frames(opened, context)
            elif catalog.schema(command) is not None:
                yield from _frames(self._answer(command, caller))
            else:
                raise errors.TicketInvalid("The ticket is none; get one with GetFlightInfo.")

    def DoPut(
        self, requests: Iterator[flight.FlightData], context: grpc.ServicerContext
    ) -> Iterator[flight.PutResult]:
        """Bind parameters to a prepared statement; every kind of write is refused."""
        caller = self._caller(context)
        with self._streams.held(caller.caller.principal.reference):
            first = next(requests, flight.FlightData())
            command = commands.described(first.flight_descriptor)
            if isinstance(command, commands.WRITES):
                raise errors.StatementWritesRefused("The agent serves reads only; write nothing.")
            if not isinstance(command, sql.CommandPreparedStatementQuery):
                raise errors.RequestInvalid("Only parameters of a prepared query can be uploaded.")
            handle = command.prepared_statement_handle
            self._statements.kept(caller, handle)
            row = parameters.uploaded(chain((first,), requests))
            self._statements.bind(caller, handle, row)
            result = sql.DoPutPreparedStatementResult(prepared_statement_handle=handle)
            yield flight.PutResult(app_metadata=result.SerializeToString())

    def DoAction(
        self, request: flight.Action, context: grpc.ServicerContext
    ) -> Iterator[flight.Result]:
        """Prepare, close, cancel."""
        caller = self._caller(context)
        with self._preparing.held(caller.caller.principal.reference):
            yield from self._actions.run(caller, request)

    def ListActions(
        self, request: flight.Empty, context: grpc.ServicerContext
    ) -> Iterator[flight.ActionType]:
        """The actions that DoAction knows."""
        self._caller(context)
        return self._actions.types

    def PollFlightInfo(
        self, request: flight.FlightDescriptor, context: grpc.ServicerContext
    ) -> flight.PollInfo:
        """Left out: a statement is prepared while the client waits."""
        raise NotServed("Statements are not polled for; use GetFlightInfo.")

    def DoExchange(
        self, requests: Iterator[flight.FlightData], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        """Left out: reads have one direction."""
        raise NotServed("Data is not exchanged; use DoGet.")

    def _caller(self, context: grpc.ServicerContext) -> ReadContext:
        return calls.read_context(context, self._verifier)

    def _statement(self, command: Message, caller: ReadContext) -> Statement:
        match command:
            case sql.CommandStatementQuery():
                return self._statements.prepare(caller, command.query, command.transaction_id)
            case sql.CommandPreparedStatementQuery():
                return self._statements.kept(caller, command.prepared_statement_handle)
            case sql.CommandStatementUpdate():
                raise errors.StatementWritesRefused("The agent serves reads only; write nothing.")
            case _:
                raise errors.RequestInvalid(
                    f"{command.DESCRIPTOR.name} can't be asked for; send a query."
                )

    def _answer(self, command: Message, caller: ReadContext) -> pa.Table:
        return catalog.answer(command, lambda: self._reads.tables(caller), self._facts)


def _info(descriptor: flight.FlightDescriptor, schema: bytes, ticket: bytes) -> flight.FlightInfo:
    # Without a location the client reads here; without an expiration time it may not read twice.
    return flight.FlightInfo(
        schema=schema,
        flight_descriptor=descriptor,
        endpoint=[flight.FlightEndpoint(ticket=flight.Ticket(ticket=ticket))],
        total_records=-1,
        total_bytes=-1,
    )


def _frames(table: pa.Table) -> Iterator[bytes]:
    yield schema_frame(table.schema.serialize().to_pybytes())
    for batch in table.to_batches(max_chunksize=_METADATA_ROWS):
        header, body = split(memoryview(batch.serialize()))
        yield batch_frame(Batch(header, body, batch.num_rows))
