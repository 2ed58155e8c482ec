"""The composition root: everything the control plane is made of is constructed here."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version

import grpc
import uuid_utils
from grpc import aio
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1._async import HealthServicer
from grpc_reflection.v1alpha import reflection

from control_plane.admin import renew_admin_token
from control_plane.agents import store as agents
from control_plane.agents.feed import Feed, Publisher
from control_plane.agents.keys import TrustedTokenKeys
from control_plane.agents.service import AgentService
from control_plane.agents.sync import SyncParts, SyncSession
from control_plane.agreements.service import AgreementService
from control_plane.audit.service import AuditService
from control_plane.authorization import ENTRYPOINT, Authorization
from control_plane.contracts.service import ContractService
from control_plane.database import Database, migrate, open_sqlite
from control_plane.identity.keys import KeyRing, open_key_ring
from control_plane.identity.service import IdentityService
from control_plane.interceptors import CallInterceptor
from control_plane.notices import Heads, Notices
from control_plane.policies.library import shipped
from control_plane.policies.service import PolicyService
from control_plane.purposes.service import PurposeService
from control_plane.settings import Settings, SettingsInvalid
from control_plane.state import locked_state
from control_plane.status.service import StatusService
from control_plane.timeline import store as timeline
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.identity.principal import CONTROL_AUDIENCE
from mesh.identity.tokens import TokenIssuer, TokenVerifier
from mesh.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    agreements_pb2,
    agreements_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    contracts_pb2,
    contracts_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    policies_pb2,
    policies_pb2_grpc,
    purposes_pb2,
    purposes_pb2_grpc,
    status_pb2,
    status_pb2_grpc,
)

_log = logging.getLogger("control_plane")
_THREADS = 16
# How soon a commit of another process, and an agreement's end, are noticed.
_STEP_SECONDS = 1.0
_STOP_SECONDS = 5.0
_OPTIONS = [
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
    ("grpc.max_send_message_length", 4 * 1024 * 1024),
    ("grpc.max_metadata_size", 32 * 1024),
    ("grpc.so_reuseport", 0),
    # A client that vanished without closing is found within half a minute.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
]
SERVICES = tuple(
    module.DESCRIPTOR.services_by_name[name]
    for module, name in (
        (agents_pb2, "AgentService"),
        (agreements_pb2, "AgreementService"),
        (audit_pb2, "AuditService"),
        (contracts_pb2, "ContractService"),
        (identity_pb2, "IdentityService"),
        (policies_pb2, "PolicyService"),
        (purposes_pb2, "PurposeService"),
        (status_pb2, "StatusService"),
    )
)


@dataclass(frozen=True, slots=True)
class Sources:
    """Time, ids and secrets, from outside."""

    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    new_secret: Callable[[], str]


def system_sources() -> Sources:
    """The machine's clock and randomness."""
    return Sources(
        clock=lambda: datetime.now(UTC),
        new_id=lambda: str(uuid_utils.uuid7()),
        new_secret=lambda: f"mjt_{secrets.token_urlsafe(32)}",
    )


class ControlPlane:
    """A control plane that serves, from `start` to `stop`."""

    def __init__(self, settings: Settings, sources: Sources) -> None:
        self._settings = settings
        self._sources = sources
        self._notices = Notices()
        self._engine = RegopyEngine(ENTRYPOINT)
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="call")
        # What agents must know waits neither for their answers nor for tails.
        self._feeding, self._syncing, self._tailing = (
            ThreadPoolExecutor(2, thread_name_prefix=name) for name in ("feed", "sync", "tail")
        )
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
        state, clock = self._settings.state, self._sources.clock
        self._exits.enter_context(locked_state(state))
        self._exits.callback(self._engine.close)
        for pool in (self._pool, self._feeding, self._syncing, self._tailing):
            self._exits.callback(pool.shutdown)
        keys = open_key_ring(state)
        loading = asyncio.create_task(asyncio.to_thread(self._engine.load, shipped("control")))
        engine = open_sqlite(state / "control.db")
        self._exits.callback(engine.dispose)
        try:
            await asyncio.to_thread(migrate, engine)
        finally:
            await loading
        database = Database(engine, self._notices.commit)
        self._notices.attach(asyncio.get_running_loop())
        server = self._server(database, keys)
        agreements = self._add_services(server, database, keys)
        renew_admin_token(state, keys, self._sources.new_id(), clock)
        address = self._bind(server)
        self._exits.push_async_callback(self._stop, server)

        async def read_heads() -> None:
            self._notices.advance(await asyncio.to_thread(_heads, database))

        async def expire() -> None:
            await asyncio.to_thread(agreements.expire_due)

        await read_heads()
        await server.start()
        for step in (read_heads, expire):
            task = asyncio.create_task(_every(_STEP_SECONDS, step))
            self._exits.push_async_callback(_cancelled, task)
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        return address

    async def _stop(self, server: aio.Server) -> None:
        await self._health.enter_graceful_shutdown()
        self._notices.close()
        await server.stop(_STOP_SECONDS)
        # A cancelled stream still has to tell that its agent is no longer connected.
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                while self._running:
                    await asyncio.sleep(0.01)

    def _server(self, database: Database, keys: KeyRing) -> aio.Server:
        clock = self._sources.clock
        trusted = TrustedTokenKeys(keys, database, clock)
        verifier = TokenVerifier(CONTROL_AUDIENCE, trusted, clock)
        admission = Authorization(self._engine, verifier)
        return aio.server(
            migration_thread_pool=self._pool,
            interceptors=[CallInterceptor(admission, _log)],
            options=_OPTIONS,
        )

    def _add_services(
        self, server: aio.Server, database: Database, keys: KeyRing
    ) -> AgreementService:
        settings = self._settings
        clock, new_id = self._sources.clock, self._sources.new_id
        with database.writing() as tx:
            agents.close_all_sessions(tx)
        policies = PolicyService(database)
        policies.activate_shipped(shipped("library"), clock())
        agreements = AgreementService(database, agents.enforced, clock, new_id)
        sync = SyncParts(
            database=database,
            feed=Feed(database, keys, self._feeding, clock),
            publisher=Publisher(keys, settings.lease, clock),
            notices=self._notices,
            threads=self._syncing,
            running=self._running,
            lease=settings.lease,
            clock=clock,
        )
        issuer = TokenIssuer(keys.token.id, keys.token.private)
        agents_pb2_grpc.add_AgentServiceServicer_to_server(
            AgentService(sync, keys, new_id, self._sources.new_secret), server
        )
        agreements_pb2_grpc.add_AgreementServiceServicer_to_server(agreements, server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(
            AuditService(database, self._notices, self._tailing, clock), server
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
            StatusService(database, settings.lease, version("meshwarden"), clock), server
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
        return agreements

    def _bind(self, server: aio.Server) -> str:
        """Listen; the address with the real port."""
        listen, tls = self._settings.listen, self._settings.tls
        try:
            if tls is None:
                port = server.add_insecure_port(listen)
            else:
                pair = (tls.key.read_bytes(), tls.certificate.read_bytes())
                port = server.add_secure_port(listen, grpc.ssl_server_credentials([pair]))
        except OSError as error:
            raise SettingsInvalid(f"{error.filename} can't be read: {error.strerror}") from error
        except RuntimeError as error:
            raise SettingsInvalid(f"can't listen on {listen}: {error}") from error
        return f"{listen.rpartition(':')[0]}:{port}"


def _heads(database: Database) -> Heads:
    with database.reading() as tx:
        return timeline.heads(tx)


async def _every(seconds: float, step: Callable[[], Awaitable[None]]) -> None:
    """Take a step again and again, until cancelled; one that fails is logged and tried again."""
    while True:
        try:
            await step()
        except Exception:  # noqa: BLE001 - the loop must go on; the log tells
            _log.exception("a background step failed and is tried again")
        await asyncio.sleep(seconds)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
