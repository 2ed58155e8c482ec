"""Statements between calls: prepared ones with their parameters, and tickets to read them once."""

from collections.abc import Callable
from dataclasses import dataclass

from domain_agent.flight.commands import encode
from domain_agent.flight.handles import HandleLimits, Handles
from domain_agent.flight.ports import Prepared, ReadContext, Reads
from mesh import errors
from mesh.arrow import flight_sql_pb2 as sql

TICKETS = HandleLimits(seconds=60, per_principal=64)
PREPARED = HandleLimits(seconds=15 * 60, per_principal=64)


@dataclass(frozen=True, slots=True)
class Statement:
    """A prepared statement with what is bound to it so far."""

    prepared: Prepared
    parameters: bytes | None = None


class Statements:
    """Prepares statements and hands them out again, to the principal who prepared them."""

    def __init__(
        self, reads: Reads, elapsed: Callable[[], float], randomness: Callable[[int], bytes]
    ) -> None:
        self._reads = reads
        self._prepared = Handles[Statement](PREPARED, elapsed, randomness)
        self._tickets = Handles[Statement](TICKETS, elapsed, randomness)

    def prepare(self, context: ReadContext, query: str, transaction: bytes) -> Statement:
        """A checked statement; transactions are not served, so none can be named."""
        if transaction:
            raise errors.RequestInvalid("The agent serves reads without transactions; name none.")
        return Statement(self._reads.prepare(context, query))

    def keep(self, context: ReadContext, statement: Statement) -> bytes:
        """A handle for a prepared statement."""
        return self._prepared.put(_principal(context), statement)

    def kept(self, context: ReadContext, handle: bytes) -> Statement:
        """The statement of a handle."""
        return self._prepared.get(_principal(context), handle)

    def bind(self, context: ReadContext, handle: bytes, parameters: bytes | None) -> None:
        """Replace what is bound to a prepared statement."""
        prepared = self.kept(context, handle).prepared
        if parameters is not None:
            prepared = self._reads.bind(context, prepared, parameters)
        self._prepared.replace(_principal(context), handle, Statement(prepared, parameters))

    def close(self, context: ReadContext, handle: bytes) -> None:
        """Give up a prepared statement."""
        self._prepared.take(_principal(context), handle)

    def ticket(self, context: ReadContext, statement: Statement) -> bytes:
        """A ticket to read the statement once, with the parameters bound now."""
        handle = self._tickets.put(_principal(context), statement)
        return encode(sql.TicketStatementQuery(statement_handle=handle))

    def redeem(self, context: ReadContext, ticket: sql.TicketStatementQuery) -> Statement:
        """The ticket's statement; the ticket is used up."""
        return self._tickets.take(_principal(context), ticket.statement_handle)


def _principal(context: ReadContext) -> str:
    return context.caller.principal.reference
