"""LogService: the agents' logs as they are stored, for those who don't take our word for them."""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from datetime import datetime

from control_plane.agents import store as agents
from control_plane.agents.rules import EnrolledAgent
from control_plane.audit import checkpoint_store, rules, store, tree_store
from control_plane.audit.tails import TailSlots
from control_plane.audit.tree_store import StoredLog
from control_plane.calls import current_caller
from control_plane.database import Database, Transaction
from control_plane.identity.keys import SigningKey
from control_plane.logs import reading
from control_plane.logs.rules import Wanted, check_selection, check_wanted
from control_plane.timeline.rules import sight_of
from mesh.errors import AgentNotFound, TokenExpired
from mesh.evidence.manifests import Manifest, Selection, leaves_line, manifest_line
from mesh.v1 import logs_pb2, logs_pb2_grpc
from mesh.wire.times import from_timestamp, to_timestamp

READERS_OF_ONE = 2
READERS_OF_ALL = 16


class LogService(logs_pb2_grpc.LogServiceServicer):
    """`key` signs what is said of the logs; `threads` read them, so that nobody else waits."""

    def __init__(
        self,
        database: Database,
        key: SigningKey,
        threads: Executor,
        clock: Callable[[], datetime],
    ) -> None:
        self._database, self._key, self._threads, self._clock = database, key, threads, clock
        self._readers = TailSlots(READERS_OF_ONE, READERS_OF_ALL, "log readers")

    def ListLogs(
        self, request: logs_pb2.ListLogsRequest, context: object
    ) -> logs_pb2.ListLogsResponse:
        """How far the logs are that the caller may see."""
        sight = sight_of(current_caller().principal)
        now = self._clock()
        with self._database.reading() as tx:
            logs = tree_store.logs(tx)
            found = [
                _to_proto(tx, agent, logs.get((agent.domain, agent.id)))
                for agent in agents.page(tx, "", "", now, None)
                if sight.everything or agent.domain in sight.domains
            ]
        return logs_pb2.ListLogsResponse(logs=found)

    def SignManifest(
        self, request: logs_pb2.SignManifestRequest, context: object
    ) -> logs_pb2.SignManifestResponse:
        """What an export of the selection holds."""
        selection = _selection(request.selection)
        check_selection(selection)
        now = self._clock()
        with self._database.reading() as tx:
            stretches = tuple(
                reading.stretch(tx, agent, selection)
                for agent in agents.page(tx, selection.domain or "", "", now, None)
                if selection.names(agent.domain, agent.id)
            )
        if not stretches and (selection.domain or selection.agent):
            raise AgentNotFound(
                "there is no agent of that name; `mesh agent list` shows them", agent=""
            )
        manifest = Manifest(self._key.public_bytes, now, selection, stretches)
        return logs_pb2.SignManifestResponse(
            manifest=manifest_line(manifest, self._key.private.sign)
        )

    async def ReadLog(
        self, request: logs_pb2.ReadLogRequest, context: object
    ) -> AsyncIterator[logs_pb2.ReadLogResponse]:
        """A stretch in pieces of at most 1 MiB, unless one record alone is larger."""
        caller = current_caller()
        wanted = Wanted(
            request.domain,
            request.agent,
            request.after,
            request.until,
            _selection(request.selection),
        )
        check_wanted(wanted)
        run = asyncio.get_running_loop().run_in_executor
        with self._readers.taken(caller.principal.reference):
            until = await run(self._threads, self._until, wanted)
            after = wanted.after
            while after < until:
                if self._clock() >= caller.expires:
                    raise TokenExpired(
                        "the token expired while the log was read; issue a new one and read on"
                        f" after record {after:,}"
                    )
                after, answer = await run(self._threads, self._piece, wanted, after, until)
                yield answer

    def ProveReceipt(
        self, request: logs_pb2.ProveReceiptRequest, context: object
    ) -> logs_pb2.ProveReceiptResponse:
        """Proofs for a receipt's records, for those who may see it."""
        sight, now = sight_of(current_caller().principal), self._clock()
        with self._database.reading() as tx:
            found = [one for one in store.receipts_of(tx, request.id) if rules.may_see(sight, one)]
            receipt = rules.the_one(found, request.id, request.source)
            proof = reading.prove(tx, receipt)
            agent = self._agent(tx, receipt.domain, receipt.agent, now)
        return logs_pb2.ProveReceiptResponse(
            checkpoint=proof.checkpoint,
            public_key=agent.public_key,
            records=[
                logs_pb2.ProvenRecord(sequence=n, record=record, path=proof.paths[n])
                for n, record in proof.records.items()
            ],
        )

    def _until(self, wanted: Wanted) -> int:
        """The last sequence to read. Raises AgentNotFound."""
        with self._database.reading() as tx:
            self._agent(tx, wanted.domain, wanted.agent, self._clock())
            size = tree_store.find(tx, wanted.domain, wanted.agent).size
        return min(wanted.until or size, size)

    def _piece(
        self, wanted: Wanted, after: int, until: int
    ) -> tuple[int, logs_pb2.ReadLogResponse]:
        with self._database.reading() as tx:
            leaves, records = reading.piece(tx, wanted, after, until)
        line = leaves_line(leaves, self._key.public_bytes, self._key.private.sign)
        return leaves.last, logs_pb2.ReadLogResponse(leaves=line, records=records)

    def _agent(self, tx: Transaction, domain: str, agent: str, now: datetime) -> EnrolledAgent:
        found = agents.find(tx, domain, agent, now)
        if found is None:
            name = f"{domain}/{agent}"
            raise AgentNotFound(
                f"there is no agent {name!r}; `mesh agent list` shows them", agent=name
            )
        return found


def _selection(message: logs_pb2.LogSelection) -> Selection:
    return Selection(
        domain=message.domain or None,
        agent=message.agent or None,
        since=from_timestamp(message.since, "since") if message.HasField("since") else None,
        before=from_timestamp(message.before, "before") if message.HasField("before") else None,
    )


def _to_proto(tx: Transaction, agent: EnrolledAgent, log: StoredLog | None) -> logs_pb2.Log:
    log = log or StoredLog(agent.domain, agent.id)
    latest = checkpoint_store.largest(tx, agent.domain, agent.id)
    message = logs_pb2.Log(
        domain=agent.domain,
        agent=agent.id,
        public_key=agent.public_key,
        stored_size=log.size,
        checkpoint="" if latest is None else latest.note,
        witnessed_size=log.witnessed_size,
        verified_size=log.verified_size,
        problem=log.problem,
        unfinished_reads=log.unfinished,
        contact_time=to_timestamp(agent.contact),
        connected=agent.connected,
    )
    if log.arrival is not None:
        message.arrival_time.CopyFrom(to_timestamp(log.arrival))
    return message
