"""What clients do besides reading: prepare, close, cancel (DoAction)."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from domain_agent.flight.commands import decode, encode
from domain_agent.flight.ports import ReadContext
from domain_agent.flight.statements import Statements
from domain_agent.flight.streams import Readings
from domain_agent.interceptors import NotServed
from mesh import errors
from mesh.arrow import flight_pb2 as flight
from mesh.arrow import flight_sql_pb2 as sql

Expected = TypeVar("Expected", bound=Message)


class Actions:
    """The actions by their type."""

    def __init__(self, statements: Statements, readings: Readings) -> None:
        self._statements = statements
        self._readings = readings
        self._known: Mapping[str, tuple[str, Callable[[ReadContext, bytes], Iterator[bytes]]]] = {
            "CreatePreparedStatement": ("Check and plan a SELECT statement.", self._create),
            "ClosePreparedStatement": ("Give up a prepared statement.", self._close),
            "CancelFlightInfo": ("End a statement, and its stream if it runs.", self._cancel),
            "CloseSession": ("Leave; the agent keeps no sessions.", self._leave),
        }

    @property
    def types(self) -> Iterator[flight.ActionType]:
        """What ListActions tells."""
        for name, (description, _) in self._known.items():
            yield flight.ActionType(type=name, description=description)

    def run(self, context: ReadContext, action: flight.Action) -> Iterator[flight.Result]:
        """Do it. Raises NotServed for an action that the agent leaves out."""
        if action.type not in self._known:
            raise NotServed(f"The agent serves the actions {', '.join(self._known)}, no other.")
        _, act = self._known[action.type]
        for body in act(context, action.body):
            yield flight.Result(body=body)

    def _create(self, context: ReadContext, body: bytes) -> Iterator[bytes]:
        request = _decoded(body, sql.ActionCreatePreparedStatementRequest)
        statement = self._statements.prepare(context, request.query, request.transaction_id)
        yield encode(
            sql.ActionCreatePreparedStatementResult(
                prepared_statement_handle=self._statements.keep(context, statement),
                dataset_schema=statement.prepared.schema,
                parameter_schema=statement.prepared.parameter_schema,
                is_update=False,
            )
        )

    def _close(self, context: ReadContext, body: bytes) -> Iterator[bytes]:
        request = _decoded(body, sql.ActionClosePreparedStatementRequest)
        self._statements.close(context, request.prepared_statement_handle)
        yield from ()

    def _cancel(self, context: ReadContext, body: bytes) -> Iterator[bytes]:
        try:
            info = flight.CancelFlightInfoRequest.FromString(body).info
        except DecodeError:
            raise errors.RequestInvalid("The body is no CancelFlightInfoRequest.") from None
        ended = [self._cancelled(context, endpoint.ticket.ticket) for endpoint in info.endpoint]
        yield flight.CancelFlightInfoResult(
            status=flight.CANCEL_STATUS_CANCELLED
            if any(ended)
            else flight.CANCEL_STATUS_NOT_CANCELLABLE
        ).SerializeToString()

    def _cancelled(self, context: ReadContext, ticket: bytes) -> bool:
        if self._readings.cancel(context.caller.principal.reference, ticket):
            return True
        try:
            self._statements.redeem(context, _decoded(ticket, sql.TicketStatementQuery))
        except errors.TicketInvalid:
            return False
        return True

    def _leave(self, context: ReadContext, body: bytes) -> Iterator[bytes]:
        yield flight.CloseSessionResult(status=flight.CloseSessionResult.CLOSED).SerializeToString()


def _decoded(body: bytes, expected: type[Expected]) -> Expected:
    message = decode(body)
    if not isinstance(message, expected):
        raise errors.RequestInvalid(f"The body is no {expected.DESCRIPTOR.name}.")
    return message
