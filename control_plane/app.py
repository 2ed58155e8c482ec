"""The composition root: everything the control plane is made of is constructed here."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version

from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from control_plane.admin import renew_admin_token
from control_plane.agents import acknowledgement_store as acknowledgements
from control_plane.agents import store as agents
from control_plane.agents.enforcing import enforcements
from control_plane.agents.feed import Feed, Publisher
from control_plane.agents.keys import TrustedTokenKeys
from control_plane.agents.service import AgentService
from control_plane.agents.sync import SyncParts, SyncSession
from control_plane.agreements.service import AgreementService
from control_plane.audit.reporting import EvidenceReports
from control_plane.audit.service import AuditService
from control_plane.authorization import ENTRYPOINT, Authorization
from control_plane.background import cancelled, every
from control_plane.contracts.service import ContractService
from control_plane.database import Database, migrate, open_database
from control_plane.erasures.service import ErasureService
from control_plane.identity import store as identity
from control_plane.identity.keys import BundleKey, KeyRing, open_bundle_key, open_key_ring
from control_plane.identity.service import IdentityService
from control_plane.logs.service import LogService
from control_plane.notices import Heads, Notices
from control_plane.opa.service import OpaService
from control_plane.policy_wiring import policy_service
from control_plane.postgres import listen
from control_plane.purposes.service import PurposeService
from control_plane.replicas.presence import BEAT_SECONDS, Presence
from control_plane.serving import SERVICES, bind, make_server
from control_plane.settings import Settings
from control_plane.sources import Sources
from control_plane.state import locked_state, replica_id
from control_plane.status.service import StatusService
from control_plane.timeline import store as timeline
from control_plane.topics import Topics
from control_plane.vault.vault import Vault
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.decisions.shipped import shipped
from mesh.errors import Unavailable
from mesh.identity.principal import CONTROL_AUDIENCE
from mesh.identity.tokens import TokenIssuer, TokenVerifier
from mesh.v1 import (
    agents_pb2_grpc,
    agreements_pb2_grpc,
    audit_pb2_grpc,
    contracts_pb2_grpc,
    erasures_pb2_grpc,
    identity_pb2_grpc,
    logs_pb2_grpc,
    opas_pb2_grpc,
    policies_pb2_grpc,
    purposes_pb2_grpc,
    status_pb2_grpc,
)

_log = logging.getLogger("control_plane")
_THREADS = 16
# How soon a commit of another process, and an agreement's end, are noticed.
_STEP_SECONDS = 1.0
_STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class _Steps:
    """What services do beside their calls."""

    expire_due: Callable[[], int]
    end_superseded: Callable[[], Awaitable[None]]


class ControlPlane:
    """A control plane that serves, from `start` to `stop`."""

    def __init__(self, settings: Settings, sources: Sources) -> None:
        self._settings = settings
        self._sources = sources
        self._notices = Notices()
        self._engine = RegopyEngine(ENTRYPOINT)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="call")
        # What agents must know waits neither for their answers nor for tails.
        names = ("feed", "sync", "tail", "read", "opa")
        pools = [ThreadPoolExecutor(2, thread_name_prefix=name) for name in names]
        self._feeding, self._syncing, self._tailing, self._reading, self._opas = pools
        self._pools = (self._pool, *pools)
        self.opa_address: str | None = None
        self._health = HealthServicer()
        self._running: set[SyncSession] = set()
        self._exits = AsyncExitStack()

    async def start(self) -> str:
        """Bring the state up to date and serve; the address it listens on.

        Raises SettingsInvalid when the settings or the state can't be used.
        """
        try:
            return await self._start()
        except BaseException:
            await self._exits.aclose()
            raise

    async def stop(self) -> None:
        """Finish the running calls, end the streams, and close."""
        await self._exits.aclose()

    async def _start(self) -> str:
        settings, state, clock = self._settings, self._settings.state, self._sources.clock
        self._exits.enter_context(locked_state(state))
        self._exits.callback(self._engine.close)
        loop = asyncio.get_running_loop()
        keys, bundle_key = _open_keys(settings)
        loading = asyncio.create_task(asyncio.to_thread(self._engine.load, shipped("control")))
        try:
            engine = open_database(state / "control.db", settings.database)
            self._exits.callback(engine.dispose)
            # Threads that still have a connection give it back before that.
            for pool in self._pools:
                self._exits.callback(pool.shutdown)
            self._exits.push_async_callback(loop.shutdown_default_executor)
            await asyncio.to_thread(migrate, engine)
        finally:
            await loading
        database = Database(engine, self._notices.commit)
        presence = Presence(database, replica_id(state, self._sources.new_id), clock)
        await asyncio.to_thread(_claim, database, keys, presence, bundle_key)
        self._notices.attach(loop)
        authorization = self._authorization(database, keys)
        server = make_server(authorization, self._pool, _log)
        steps = self._add_services(server, database, keys, presence.replica)
        opas_pb2_grpc.add_OpaServiceServicer_to_server(OpaService(database, bundle_key), server)
        renew_admin_token(state, keys, self._sources.new_id(), clock)
        address = bind(server, settings)
        self._exits.push_async_callback(asyncio.to_thread, _leave, presence)
        await self._start_opa(database, authorization, bundle_key)
        self._exits.push_async_callback(self._stop, server)
        await self._read_heads(database)
        await server.start()
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        self._run_every(_STEP_SECONDS, partial(self._read_heads, database))
        self._run_every(_STEP_SECONDS, partial(asyncio.to_thread, steps.expire_due))
        self._run_every(_STEP_SECONDS, partial(asyncio.to_thread, database.scrub))
        self._run_every(BEAT_SECONDS, partial(asyncio.to_thread, presence.beat))
        self._run_every(BEAT_SECONDS, steps.end_superseded)
        self._start_topics(database, keys, presence.replica)
        if settings.database is not None:
            self._run_every(
                _STEP_SECONDS, partial(listen, settings.database, self._notices.advance)
            )
        return address

    async def _start_opa(
        self, database: Database, authorization: Authorization, key: BundleKey | None
    ) -> None:
        if key is None:
            return
        # aiohttp takes a tenth of a second to load; most control planes serve no OPA.
        from control_plane.opa.serving import Common, opa_server  # noqa: PLC0415

        common = Common(database, authorization, self._notices, self._opas, self._sources.clock)
        server = opa_server(common, shipped("opa"), key, self._settings)
        self._exits.push_async_callback(server.stop)
        self.opa_address = await server.start()

    def _start_topics(self, database: Database, keys: KeyRing, replica: str) -> None:
        if self._settings.kafka is not None:
            vault = Vault(keys.evidence.private)
            topics = Topics(self._settings.kafka, database, vault, replica, self._sources.clock)
            topics.start()
            self._exits.push_async_callback(asyncio.to_thread, topics.stop)

    def _run_every(self, seconds: float, step: Callable[[], Awaitable[object]]) -> None:
        task = asyncio.create_task(every(seconds, step))
        self._exits.push_async_callback(cancelled, task)

    async def _read_heads(self, database: Database) -> None:
        """Learn of commits that no notice told, and whether the database answers."""
        try:
            heads = await asyncio.to_thread(_heads, database)
        except Unavailable:
            await self._health.set("", health_pb2.HealthCheckResponse.NOT_SERVING)
            raise
        self._notices.advance(heads)
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)

    async def _stop(self, server: aio.Server) -> None:
        await self._health.enter_graceful_shutdown()
        self._notices.close()
        await server.stop(_STOP_SECONDS)
        # A cancelled stream still has to tell that its agent is no longer connected.
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                while self._running:
                    await asyncio.sleep(0.01)

    def _authorization(self, database: Database, keys: KeyRing) -> Authorization:
        clock = self._sources.clock
        trusted = TrustedTokenKeys(keys, database, clock)
        return Authorization(self._engine, TokenVerifier(CONTROL_AUDIENCE, trusted, clock))

    def _add_services(
        self, server: aio.Server, database: Database, keys: KeyRing, replica: str
    ) -> _Steps:
        settings = self._settings
        clock, new_id = self._sources.clock, self._sources.new_id
        library = shipped("library")
        policies = policy_service(database, library, settings.policies, self._sources)
        policies.activate_shipped(library)
        agreements = AgreementService(
            database, acknowledgements.enforced, enforcements, clock, new_id
        )
        sync = SyncParts(
            database=database,
            feed=Feed(database, keys, self._feeding, clock),
            publisher=Publisher(keys, settings.leases, clock),
            notices=self._notices,
            threads=self._syncing,
            running=self._running,
            replica=replica,
            leases=settings.leases,
            clock=clock,
        )
        vault = Vault(keys.evidence.private)
        reports = EvidenceReports(database, vault, agents.public_key, clock)
        issuer = TokenIssuer(keys.token.id, keys.token.private)
        agent_service = AgentService(sync, keys, new_id, self._sources.new_secret)
        agents_pb2_grpc.add_AgentServiceServicer_to_server(agent_service, server)
        agreements_pb2_grpc.add_AgreementServiceServicer_to_server(agreements, server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(
            AuditService(database, self._notices, self._tailing, vault, reports, clock), server
        )
        logs = LogService(database, keys.snapshot, self._reading, clock)
        logs_pb2_grpc.add_LogServiceServicer_to_server(logs, server)
        erasures_pb2_grpc.add_ErasureServiceServicer_to_server(
            ErasureService(database, clock, new_id), server
        )
        contracts_pb2_grpc.add_ContractServiceServicer_to_server(
            ContractService(database, agents.flight_uris, clock), server
        )
        identity_pb2_grpc.add_IdentityServiceServicer_to_server(
            IdentityService(database, issuer, clock, new_id), server
        )
        policies_pb2_grpc.add_PolicyServiceServicer_to_server(policies, server)
        purposes_pb2_grpc.add_PurposeServiceServicer_to_server(
            PurposeService(database, clock), server
        )
        status_pb2_grpc.add_StatusServiceServicer_to_server(
            StatusService(database, settings.leases, version("meshwarden"), clock), server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, server)
        reflection.enable_server_reflection(
            [
                *(service.full_name for service in SERVICES),
                health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
                reflection.SERVICE_NAME,
            ],
            server,
        )
        return _Steps(agreements.expire_due, agent_service.end_superseded)


def _open_keys(settings: Settings) -> tuple[KeyRing, BundleKey | None]:
    """The keys, and the one of bundles where OPAs are served."""
    folder = settings.keys or settings.state
    keys = open_key_ring(folder)
    return keys, None if settings.opa_listen is None else open_bundle_key(folder)


def _heads(database: Database) -> Heads:
    with database.reading() as tx:
        return timeline.heads(tx)


def _claim(
    database: Database, keys: KeyRing, presence: Presence, bundle_key: BundleKey | None
) -> None:
    """Serve the database from now on, unless it is another mesh's."""
    with database.writing() as tx:
        identity.claim(tx, keys, bundle_key)
        agents.close_sessions_of(tx, presence.replica)
        presence.join(tx)


def _leave(presence: Presence) -> None:
    with suppress(Unavailable):  # a replica that can't say it left is found to be dead
        presence.leave()
