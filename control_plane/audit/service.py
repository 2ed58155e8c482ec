"""AuditService: agents append evidence, people read the timeline."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from datetime import datetime
from typing import Literal

from control_plane.audit import reads_store, rules, store
from control_plane.audit.appending import append_events
from control_plane.audit.reads import ReadGroup, Selection, checked_dimensions, group_limit
from control_plane.audit.reporting import EvidenceReports
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
from control_plane.vault.vault import Vault
from mesh.errors import TokenExpired
from mesh.identity.principal import Caller
from mesh.v1 import audit_pb2, audit_pb2_grpc
from mesh.wire.events import event_to_proto, recorded_from_proto
from mesh.wire.times import from_timestamp, to_timestamp

_TAIL_PAGE = 200


class AuditService(audit_pb2_grpc.AuditServiceServicer):
    """`threads` run the tails' questions, so that these wait for each other and nobody else."""

    def __init__(
        self,
        database: Database,
        notices: Notices,
        threads: Executor,
        vault: Vault,
        reports: EvidenceReports,
        clock: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._vault = vault
        self._reports = reports
        self._notices = notices
        self._threads = threads
        self._clock = clock
        self._tails = TailSlots()

    def AppendEvents(
        self, request: audit_pb2.AppendEventsRequest, context: object
    ) -> audit_pb2.AppendEventsResponse:
        """Store consecutive events once each; acknowledged is only what is committed."""
        domain, _, agent = current_caller().principal.subject.partition("/")
        events = [recorded_from_proto(message) for message in request.events]
        with self._database.writing() as tx:
            stored = append_events(tx, domain, agent, events, self._clock(), self._vault)
        return audit_pb2.AppendEventsResponse(stored_sequence=stored)

    def ReportEvidence(
        self, request: audit_pb2.ReportEvidenceRequest, context: object
    ) -> audit_pb2.ReportEvidenceResponse:
        """Take an agent's word on its log and its principals' keys."""
        return self._reports.report(request)

    def ListEntries(
        self, request: audit_pb2.ListEntriesRequest, context: object
    ) -> audit_pb2.ListEntriesResponse:
        """One page of what the caller may see."""
        limit = page_limit(request.page_size)
        wanted = Wanted(
            kind=request.kind,
            actor=request.actor,
            product=request.product,
            since=_instant(request, "since"),
            until=_instant(request, "until"),
            purpose=request.purpose,
            outcome=request.outcome,
            classification=request.classification,
        )
        sight = sight_of(current_caller().principal)
        with self._database.reading() as tx:
            entries = timeline.newest(tx, sight, wanted, page_number(request.page_token), limit + 1)
        more = str(entries[limit - 1].id) if len(entries) > limit else ""
        return audit_pb2.ListEntriesResponse(
            entries=[_to_proto(entry) for entry in entries[:limit]], next_page_token=more
        )

    def SummarizeReads(
        self, request: audit_pb2.SummarizeReadsRequest, context: object
    ) -> audit_pb2.SummarizeReadsResponse:
        """Counts of the reads that the caller may see, in groups."""
        limit = group_limit(request.limit)
        dimensions = checked_dimensions(request.dimensions)
        selection = _selection(request.selection)
        sight = sight_of(current_caller().principal)
        with self._database.reading() as tx:
            groups = reads_store.summarize(tx, sight, selection, dimensions, limit + 1)
        return audit_pb2.SummarizeReadsResponse(
            groups=[_group_to_proto(group) for group in groups[:limit]],
            truncated=len(groups) > limit,
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
            opened = self._vault.open(tx, receipt.domain, receipt.agent, events)
        return audit_pb2.GetReceiptResponse(
            receipt=audit_pb2.Receipt(
                id=receipt.id,
                domain=receipt.domain,
                agent=receipt.agent,
                state=receipt.state,
                events=[event_to_proto(event, opened.get(event.id)) for event in events],
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


def _instant(
    message: audit_pb2.ListEntriesRequest | audit_pb2.ReadSelection,
    field: Literal["since", "until"],
) -> datetime | None:
    return from_timestamp(getattr(message, field), field) if message.HasField(field) else None


def _selection(message: audit_pb2.ReadSelection) -> Selection:
    return Selection(
        actor=message.actor,
        product=message.product,
        classification=message.classification,
        purpose=message.purpose,
        outcome=message.outcome,
        since=_instant(message, "since"),
        until=_instant(message, "until"),
    )


def _group_to_proto(group: ReadGroup) -> audit_pb2.ReadGroup:
    return audit_pb2.ReadGroup(
        values=group.values,
        reads=group.reads,
        refused=group.refused,
        rows=group.rows,
        bytes=group.bytes,
        first_time=to_timestamp(group.first),
        last_time=to_timestamp(group.last),
    )


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
