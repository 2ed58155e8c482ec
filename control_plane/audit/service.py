"""AuditService: agents append evidence, people read the timeline."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from datetime import datetime

from control_plane.audit import rules, store
from control_plane.audit.appending import append_events
from control_plane.audit.tails import TailSlots
from control_plane.calls import current_caller
from control_plane.database import Database
from control_plane.notices import Notices
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import (
    Entry,
    Sight,
    Wanted,
    page_limit,
    page_number,
    sight_of,
)
from mesh.errors import TokenExpired
from mesh.identity.principal import Caller
from mesh.v1 import audit_pb2, audit_pb2_grpc
from mesh.wire.events import event_from_proto, event_to_proto
from mesh.wire.times import from_timestamp, to_timestamp

_TAIL_PAGE = 200


class AuditService(audit_pb2_grpc.AuditServiceServicer):
    """`threads` run the tails' questions, so that these wait for each other and nobody else."""

    def __init__(
        self,
        database: Database,
        notices: Notices,
        threads: Executor,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._notices = notices
        self._threads = threads
        self._clock = clock
        self._tails = TailSlots()

    def AppendEvents(
        self, request: audit_pb2.AppendEventsRequest, context: object
    ) -> audit_pb2.AppendEventsResponse:
        """Store consecutive events once each; acknowledged is only what is committed."""
        domain, _, agent = current_caller().principal.subject.partition("/")
        events = [event_from_proto(message) for message in request.events]
        with self._database.writing() as tx:
            stored = append_events(tx, domain, agent, events, self._clock())
        return audit_pb2.AppendEventsResponse(stored_sequence=stored)

    def ListEntries(
        self, request: audit_pb2.ListEntriesRequest, context: object
    ) -> audit_pb2.ListEntriesResponse:
        """One page of what the caller may see."""
        limit = page_limit(request.page_size)
        wanted = Wanted(
            kind=request.kind,
            actor=request.actor,
            product=request.product,
            since=from_timestamp(request.since, "since") if request.HasField("since") else None,
        )
        sight = sight_of(current_caller().principal)
        with self._database.reading() as tx:
            entries = timeline.newest(tx, sight, wanted, page_number(request.page_token), limit + 1)
        more = str(entries[limit - 1].id) if len(entries) > limit else ""
        return audit_pb2.ListEntriesResponse(
            entries=[_to_proto(entry) for entry in entries[:limit]], next_page_token=more
        )

    async def TailEntries(
        self, request: audit_pb2.TailEntriesRequest, context: object
    ) -> AsyncIterator[audit_pb2.TailEntriesResponse]:
        """Entries as they arrive, until the caller leaves or the token ends."""
        caller = current_caller()
        position = page_number(request.cursor, "cursor")
        with self._tails.taken(caller.principal.reference):
            async with aclosing(self._tail(caller, position)) as entries:
                async for entry in entries:
                    yield audit_pb2.TailEntriesResponse(entry=_to_proto(entry))

    def GetReceipt(
        self, request: audit_pb2.GetReceiptRequest, context: object
    ) -> audit_pb2.GetReceiptResponse:
        """A receipt with its events, for those who may see it."""
        sight = sight_of(current_caller().principal)
        with self._database.reading() as tx:
            found = store.receipts_of(tx, request.id)
            seen = [receipt for receipt in found if rules.may_see(sight, receipt)]
            receipt = rules.the_one(seen, request.id, request.source)
            events = store.events_of(tx, receipt)
        return audit_pb2.GetReceiptResponse(
            receipt=audit_pb2.Receipt(
                id=receipt.id,
                domain=receipt.domain,
                agent=receipt.agent,
                state=receipt.state,
                events=[event_to_proto(event) for event in events],
            )
        )

    async def _tail(self, caller: Caller, position: int | None) -> AsyncGenerator[Entry, None]:
        sight = sight_of(caller.principal)
        run = asyncio.get_running_loop().run_in_executor
        if position is None:
            position = await run(self._threads, self._position)
        while True:
            self._notices.check_open()
            arrival = self._notices.next_arrival()
            entries = await run(self._threads, self._arrived, sight, position)
            for entry in entries:
                position = entry.position
                yield entry
            if len(entries) == _TAIL_PAGE:
                continue
            remaining = (caller.expires - self._clock()).total_seconds()
            try:
                await asyncio.wait_for(arrival.wait(), max(remaining, 0))
            except TimeoutError as error:
                raise TokenExpired(
                    "the token expired while the tail ran; issue a new one and resume with the"
                    " last cursor"
                ) from error

    def _position(self) -> int:
        with self._database.reading() as tx:
            return timeline.heads(tx).position

    def _arrived(self, sight: Sight, after: int) -> list[Entry]:
        with self._database.reading() as tx:
            return timeline.arrived(tx, sight, after, _TAIL_PAGE)


def _to_proto(entry: Entry) -> audit_pb2.Entry:
    return audit_pb2.Entry(
        cursor=str(entry.position),
        time=to_timestamp(entry.time),
        kind=entry.kind,
        action=entry.action,
        actor=entry.actor,
        product=entry.product,
        reference=entry.reference,
        purpose=entry.purpose,
        summary=entry.summary,
        revision=entry.revision,
        rows=entry.rows,
        reasons=entry.reasons,
    )
