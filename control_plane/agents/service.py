"""AgentService: enrolment, the Sync stream, and how the agents are."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from control_plane.agents import rules, store
from control_plane.agents.feed import trusted_keys
from control_plane.agents.sync import SyncParts, SyncSession
from control_plane.agents.wire import agent_to_proto, report_from_proto
from control_plane.calls import current_caller
from control_plane.database import Transaction
from control_plane.identity.keys import KeyRing
from control_plane.policies import rehearsing
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change, page_limit
from mesh.decisions.policy import Policy
from mesh.errors import AgentNotFound, RequestInvalid
from mesh.identity.principal import Principal, PrincipalKind
from mesh.names import NAME_RULE, is_name
from mesh.v1 import agents_pb2, agents_pb2_grpc
from mesh.wire.times import to_timestamp


class AgentService(agents_pb2_grpc.AgentServiceServicer):
    def __init__(
        self,
        with_parts: SyncParts,
        keys: KeyRing,
        new_id: Callable[[], str],
        new_secret: Callable[[], str],
    ) -> None:
        self._parts = with_parts
        self._database = with_parts.database
        self._clock = with_parts.clock
        self._keys = keys
        self._new_id = new_id
        self._new_secret = new_secret

    def CreateJoinToken(
        self, request: agents_pb2.CreateJoinTokenRequest, context: object
    ) -> agents_pb2.CreateJoinTokenResponse:
        """A one-time token; only its hash is kept."""
        if not is_name(request.domain):
            raise RequestInvalid(f"domain {request.domain!r}: {NAME_RULE}", field="domain")
        token = self._new_secret()
        expires = self._clock() + rules.JOIN_LIFETIME
        with self._database.writing() as tx:
            store.add_join_token(tx, _hash(token), request.domain, expires)
        return agents_pb2.CreateJoinTokenResponse(token=token, expire_time=to_timestamp(expires))

    def EnrolAgent(
        self, request: agents_pb2.EnrolAgentRequest, context: object
    ) -> agents_pb2.EnrolAgentResponse:
        """Bind an agent's id to its key; the same again changes nothing."""
        now = self._clock()
        rules.check_proof(request.join_token, request.id, request.public_key, request.proof)
        token_hash = _hash(request.join_token)
        with self._database.writing() as tx:
            token = rules.check_join(store.find_join_token(tx, token_hash), request.public_key, now)
            known = store.find(tx, token.domain, request.id, now)
            rules.check_key(known, request.public_key)
            rules.check_retry(token, known)
            store.use_join_token(tx, token_hash, request.public_key)
            if known is None:
                store.add(tx, token.domain, request.id, request.public_key, now)
                name = f"{token.domain}/{request.id}"
                timeline.record_change(
                    tx,
                    Change(
                        action="agent.enrolled",
                        actor=f"agent:{name}",
                        time=now,
                        reference=name,
                        summary=f"key {hashlib.sha256(request.public_key).hexdigest()[:16]}",
                        domain=token.domain,
                    ),
                )
        return agents_pb2.EnrolAgentResponse(domain=token.domain, keys=trusted_keys(self._keys))

    async def Sync(
        self, request_iterator: AsyncIterator[agents_pb2.SyncRequest], context: object
    ) -> AsyncIterator[agents_pb2.SyncResponse]:
        """What the agent must enforce, as it changes; a later stream of the agent ends this."""
        domain, agent = _own_name(current_caller().principal)
        session = SyncSession(domain, agent, self._new_id(), self._parts)
        for older in self._parts.running:
            if older.name == session.name:
                older.end()
        self._parts.running.add(session)
        async with aclosing(session.run(request_iterator)) as responses:
            async for response in responses:
                yield response

    async def end_superseded(self) -> None:
        """End the streams of agents that have connected to another replica since."""
        stored = [session for session in self._parts.running if session.stored_id is not None]
        own = await asyncio.to_thread(self._own_sessions)
        for session in stored:
            if session.stored_id not in own:
                session.end()

    async def ReadRehearsal(
        self, request: agents_pb2.ReadRehearsalRequest, context: object
    ) -> AsyncIterator[agents_pb2.ReadRehearsalResponse]:
        """The modules of a candidate that the calling agent was asked to rehearse."""
        name = _own_name(current_caller().principal)
        policy = await asyncio.to_thread(self._candidate, request.id, *name)
        for path, text in sorted(policy.modules.items()):
            yield agents_pb2.ReadRehearsalResponse(path=path, text=text)

    def _candidate(self, rehearsal: str, domain: str, agent: str) -> Policy:
        with self._database.reading() as tx:
            return rehearsing.candidate(tx, rehearsal, domain, agent)

    def ReportRehearsal(
        self, request: agents_pb2.ReportRehearsalRequest, context: object
    ) -> agents_pb2.ReportRehearsalResponse:
        """Store what the calling agent found."""
        name = "/".join(_own_name(current_caller().principal))
        with self._database.writing() as tx:
            rehearsing.take_report(tx, name, request)
        return agents_pb2.ReportRehearsalResponse()

    def ReportAgent(
        self, request: agents_pb2.ReportAgentRequest, context: object
    ) -> agents_pb2.ReportAgentResponse:
        """Store how the calling agent is."""
        domain, agent = _own_name(current_caller().principal)
        reported = report_from_proto(request)
        with self._database.writing() as tx:
            store.report(tx, domain, agent, reported, self._clock())
        return agents_pb2.ReportAgentResponse()

    def ListAgents(
        self, request: agents_pb2.ListAgentsRequest, context: object
    ) -> agents_pb2.ListAgentsResponse:
        """One page of agents by domain and id, without their products."""
        limit = page_limit(request.page_size)
        with self._database.reading() as tx:
            found = store.page(tx, request.domain, request.page_token, self._clock(), limit + 1)
            messages = [self._to_proto(tx, agent) for agent in found[:limit]]
        for message in messages:
            del message.products[:]
        last = found[limit - 1] if len(found) > limit else None
        return agents_pb2.ListAgentsResponse(
            agents=messages, next_page_token=f"{last.domain}/{last.id}" if last else ""
        )

    def GetAgent(
        self, request: agents_pb2.GetAgentRequest, context: object
    ) -> agents_pb2.GetAgentResponse:
        """One agent with its products; an agent sees itself only."""
        principal = current_caller().principal
        name = f"{request.domain}/{request.id}"
        with self._database.reading() as tx:
            found = store.find(tx, request.domain, request.id, self._clock())
            if found is None or (
                principal.kind is PrincipalKind.AGENT and principal.subject != name
            ):
                raise AgentNotFound(
                    f"there is no agent {name}; `mesh agent list` shows the enrolled", agent=name
                )
            message = self._to_proto(tx, found)
        return agents_pb2.GetAgentResponse(agent=message)

    def _own_sessions(self) -> frozenset[str]:
        with self._database.reading() as tx:
            return store.sessions_of(tx, self._parts.replica)

    def _to_proto(self, tx: Transaction, agent: rules.EnrolledAgent) -> agents_pb2.Agent:
        return agent_to_proto(agent, timeline.distributed_revision(tx, agent.domain))


def _own_name(principal: Principal) -> tuple[str, str]:
    domain, _, agent = principal.subject.partition("/")
    return domain, agent


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
