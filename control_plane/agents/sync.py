"""One agent's Sync stream: a snapshot, then what changes, with an answer for each revision."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import datetime

from control_plane.agents import store
from control_plane.agents.feed import Feed, Publisher, Snapshot
from control_plane.agents.rules import Acknowledgement, Session, with_leases
from control_plane.database import Database
from control_plane.notices import Notices
from mesh.errors import AgentRevisionStale, AgentSuperseded, RequestInvalid
from mesh.leases import Leases
from mesh.v1 import agents_pb2

_REMEMBERED_REVISIONS = 1_000
_MAX_REFUSAL_CHARS = 2_000
_MAX_QUESTIONS = 64


@dataclass(frozen=True, slots=True)
class _Sent:
    """What was sent, and what the agent was at before on this stream."""

    digest: bytes
    previous: int | None


@dataclass(frozen=True, slots=True)
class SyncParts:
    """What every stream works with; each is in `running` until nothing of it runs any more."""

    database: Database
    feed: Feed
    publisher: Publisher
    notices: Notices
    threads: Executor
    running: "set[SyncSession]"
    replica: str
    leases: Leases
    clock: Callable[[], datetime]


class SyncSession:
    """The stream of one connection; `end` makes room for a later one of the same agent."""

    def __init__(self, domain: str, agent: str, session: str, with_parts: SyncParts) -> None:
        self._domain = domain
        self._agent = agent
        self._session = session
        self._parts = with_parts
        self._publisher = with_parts.publisher
        self._sent: dict[int, _Sent] = {}
        self._rehearsals: set[str] = set()
        self._latest: Snapshot | None = None
        self._repeat = asyncio.Event()
        self._repeated = 0
        self._asked = asyncio.Event()
        self._questions: set[int] = set()
        self._superseded = asyncio.Event()
        self._is_stored = False

    @property
    def name(self) -> tuple[str, str]:
        """Domain and id of the agent."""
        return self._domain, self._agent

    @property
    def stored_id(self) -> str | None:
        """The session's id once the database has it."""
        return self._session if self._is_stored else None

    def end(self) -> None:
        """End the stream, because the agent connected again."""
        self._superseded.set()

    async def run(
        self, requests: AsyncIterator[agents_pb2.SyncRequest]
    ) -> AsyncGenerator[agents_pb2.SyncResponse, None]:
        """Everything to send, until the agent leaves, fails or connects again."""
        opening = reader = None
        try:
            acknowledged = await _hello(requests)
            opening = asyncio.create_task(self._threaded(self._open))
            await asyncio.shield(opening)
            self._is_stored = True
            reader = asyncio.create_task(self._read(requests))
            async for response in self._send(acknowledged, reader):
                yield response
        finally:
            # Shielded, so that a cancelled stream still leaves the agent as not connected.
            await asyncio.shield(asyncio.create_task(self._finish(opening, reader)))

    async def _send(
        self, acknowledged: int, reader: asyncio.Task[None]
    ) -> AsyncIterator[agents_pb2.SyncResponse]:
        loop = asyncio.get_running_loop()
        interval = self._parts.leases.shortest.total_seconds() / 3
        renew_at = loop.time()
        while True:
            self._parts.notices.check_open()
            change = self._parts.notices.next_change()
            snapshot = await self._parts.feed.snapshot(
                self._domain, self._agent, self._parts.notices.revision
            )
            if self._latest is None and acknowledged > snapshot.revision:
                raise AgentRevisionStale(
                    f"the agent acknowledged revision {acknowledged}, this control plane is at"
                    f" {snapshot.revision} for {self._domain}: it was restored from an older"
                    " state, or is another one",
                    revision=str(snapshot.revision),
                )
            is_due = loop.time() >= renew_at
            if is_due:
                await self._threaded(self._keep, snapshot.revision)
                renew_at = loop.time() + interval
            responses = self._news(snapshot)
            if self._answers(snapshot) or is_due:
                responses = responses or [self._publisher.renewal(snapshot)]
            for response in responses:
                yield response
            for rehearsal, digest in self._parts.feed.rehearsals(self._domain, self._agent):
                if rehearsal not in self._rehearsals:
                    self._rehearsals.add(rehearsal)
                    yield self._publisher.rehearsal(snapshot, rehearsal, digest)
            await self._woken(change, reader, renew_at - loop.time())
            if self._superseded.is_set():
                raise _superseded(self._domain, self._agent)
            if reader.done():
                reader.result()
                return

    def _news(self, snapshot: Snapshot) -> list[agents_pb2.SyncResponse]:
        """What the agent must hear to be at the snapshot; empty when it is."""
        old, self._latest = self._latest, snapshot
        again = self._repeat.is_set()
        self._repeat.clear()
        if old is not None and old.revision == snapshot.revision and not again:
            return []
        if snapshot.revision not in self._sent:
            previous = None if old is None else old.revision
            self._sent[snapshot.revision] = _Sent(snapshot.digest, previous)
        while len(self._sent) > _REMEMBERED_REVISIONS:
            del self._sent[min(self._sent)]
        if old is None or again:
            return list(self._publisher.whole(snapshot))
        return list(self._publisher.change(old, snapshot))

    def _answers(self, snapshot: Snapshot) -> bool:
        """Whether the snapshot answers a question of the agent."""
        self._asked.clear()
        answered = {revision for revision in self._questions if revision <= snapshot.complete}
        self._questions -= answered
        return bool(answered)

    async def _woken(
        self, change: asyncio.Event, reader: asyncio.Task[None], seconds: float
    ) -> None:
        """Wait for something to do, or until it is time to renew the leases."""
        events = (change, self._repeat, self._asked, self._superseded)
        waits = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(
                [reader, *waits], timeout=max(seconds, 0), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()

    async def _read(self, requests: AsyncIterator[agents_pb2.SyncRequest]) -> None:
        async for request in requests:
            match request.WhichOneof("message"):
                case "acknowledgement":
                    await self._acknowledged(request.acknowledgement)
                case "refusal":
                    await self._refused(request.refusal)
                case "question":
                    self._question(request.question.revision)
                case _:
                    raise RequestInvalid(
                        "after hello an agent sends acknowledgements, refusals and questions",
                        field="message",
                    )

    async def _acknowledged(self, message: agents_pb2.SyncAcknowledgement) -> None:
        expected = self._sent.get(message.revision)
        if expected is None:
            raise RequestInvalid(
                f"revision {message.revision} was not sent on this stream", field="revision"
            )
        if expected.digest != message.digest:
            await self._refused(
                agents_pb2.SyncRefusal(
                    revision=message.revision,
                    reason="agent.digest_mismatch",
                    message="acknowledged with another digest than was sent",
                )
            )
            return
        told = Acknowledgement(message.revision, message.digest, expected.previous)
        await self._threaded(self._store_acknowledgement, told)

    def _question(self, revision: int) -> None:
        """Remember it; of too many those that are furthest ahead are forgotten."""
        self._questions.add(revision)
        if len(self._questions) > _MAX_QUESTIONS:
            self._questions.remove(max(self._questions))
        self._asked.set()

    async def _refused(self, message: agents_pb2.SyncRefusal) -> None:
        """Remember why; the agent gets everything anew, once for each revision."""
        refusal = f"{message.reason}: {message.message}"[:_MAX_REFUSAL_CHARS]
        await self._threaded(self._store_refusal, refusal)
        if message.revision > self._repeated:
            self._repeated = message.revision
            self._repeat.set()

    async def _finish(
        self, opening: asyncio.Task[None] | None, reader: asyncio.Task[None] | None
    ) -> None:
        try:
            if reader is not None:
                reader.cancel()
                await asyncio.gather(reader, return_exceptions=True)
            if opening is not None:
                await asyncio.gather(opening, return_exceptions=True)
                await self._threaded(self._close)
        finally:
            self._parts.running.discard(self)

    async def _threaded(self, step: Callable[..., None], *given: object) -> None:
        """Take a step in a thread that works for Sync streams alone."""
        await asyncio.get_running_loop().run_in_executor(self._parts.threads, step, *given)

    def _open(self) -> None:
        now = self._parts.clock()
        session = Session(self._session, self._parts.replica, now + self._parts.leases.shortest)
        with self._parts.database.writing() as tx:
            store.open_session(tx, self._domain, self._agent, session, now)

    def _keep(self, revision: int) -> None:
        """Count as connected for a while, in which leases are given with a revision or later."""
        until = self._parts.clock() + self._parts.leases.shortest
        with self._parts.database.writing() as tx:
            if not store.keep_session(tx, self._domain, self._agent, self._session, until):
                raise _superseded(self._domain, self._agent)
            known = store.given(tx, self._domain, self._agent)
            given = with_leases(known, revision, self._parts.leases, until)
            store.note_given(tx, self._domain, self._agent, given)

    def _close(self) -> None:
        with self._parts.database.writing() as tx:
            store.close_session(tx, self._domain, self._agent, self._session)

    def _store_acknowledgement(self, told: Acknowledgement) -> None:
        with self._parts.database.writing() as tx:
            store.acknowledge(tx, self._domain, self._agent, told, self._parts.clock())

    def _store_refusal(self, refusal: str) -> None:
        with self._parts.database.writing() as tx:
            store.refuse(tx, self._domain, self._agent, refusal, self._parts.clock())


async def _hello(requests: AsyncIterator[agents_pb2.SyncRequest]) -> int:
    """The revision that the agent's first message says it acknowledged."""
    async for request in requests:
        if request.WhichOneof("message") == "hello":
            return request.hello.acknowledged_revision
        break
    raise RequestInvalid("an agent's first message on a Sync stream is hello", field="message")


def _superseded(domain: str, agent: str) -> AgentSuperseded:
    return AgentSuperseded(
        f"{domain}/{agent} connected again with the same key, so this stream ended"
    )
