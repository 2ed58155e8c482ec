"""The composition root: everything the control plane is made of is constructed here."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

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
from control_plane.agents.sync import SyncParts
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
_EXPIRY_SECONDS = 1.0
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
        self._tasks: list[asyncio.Task[None]] = []
        self._health = HealthServicer()

    async def start(self) -> str:
        """Bring the state up to date and serve; the address it listens on."""
        open_state(self._settings.state)
        keys = open_key_ring(self._settings.state)
        loading = asyncio.create_task(asyncio.to_thread(self._engine.load, shipped("control")))
        engine = open_sqlite(self._settings.state / "control.db")
        await asyncio.to_thread(migrate, engine)
        self._database = Database(engine, self._notices.commit)
        self._notices.attach(asyncio.get_running_loop())
        server = self._server(keys)
        agreements = self._add_services(server, keys)
        token_id = self._sources.new_id()
        renew_admin_token(self._settings.state, keys, token_id, self._sources.clock)
        await loading
        self._notices.advance(await asyncio.to_thread(self._heads))
        address = self._bind(server)
        await server.start()
        self._aio_server = server
        self._tasks = [
            asyncio.create_task(self._notices.poll(self._read_heads)),
            asyncio.create_task(_expire(agreements)),
        ]
        await self._health.set("", health_pb2.HealthCheckResponse.SERVING)
        return address

    async def stop(self) -> None:
        """Finish the running calls, end the streams, and close."""
        await self._health.enter_graceful_shutdown()
        self._notices.close()
        await self._aio_server.stop(_STOP_SECONDS)
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._pool.shutdown()
        self._engine.close()
        self._database.close()

    async def failed(self) -> None:
        """Wait until a background task ends, which it never should, and raise what ended it."""
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()

    def _server(self, keys: KeyRing) -> aio.Server:
        clock = self._sources.clock
        trusted = TrustedTokenKeys(keys, self._database, clock)
        verifier = TokenVerifier(CONTROL_AUDIENCE, trusted, clock)
        admission = Authorization(self._engine, verifier)
        return aio.server(
            migration_thread_pool=self._pool,
            interceptors=[CallInterceptor(admission, _log)],
            options=_OPTIONS,
        )

    def _add_services(self, server: aio.Server, keys: KeyRing) -> AgreementService:
        database, settings = self._database, self._settings
        clock, new_id = self._sources.clock, self._sources.new_id
        with database.writing() as tx:
            agents.close_all_sessions(tx)
        policies = PolicyService(database)
        policies.activate_shipped(shipped("library"), clock())
        agreements = AgreementService(database, agents.enforced, clock, new_id)
        sync = SyncParts(
            database=database,
            feed=Feed(database, keys, clock),
            publisher=Publisher(keys, settings.lease, clock),
            notices=self._notices,
            lease=settings.lease,
            clock=clock,
        )
        issuer = TokenIssuer(keys.token.id, keys.token.private)
        agents_pb2_grpc.add_AgentServiceServicer_to_server(
            AgentService(sync, keys, new_id, self._sources.new_secret), server
        )
        agreements_pb2_grpc.add_AgreementServiceServicer_to_server(agreements, server)
        audit_pb2_grpc.add_AuditServiceServicer_to_server(
            AuditService(database, self._notices, clock), server
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

    def _heads(self) -> Heads:
        with self._database.reading() as tx:
            return timeline.heads(tx)

    async def _read_heads(self) -> Heads:
        return await asyncio.to_thread(self._heads)


def open_state(state: Path) -> None:
    """Make the state folder, for its owner alone."""
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)
    except OSError as error:
        raise SettingsInvalid(f"the state folder {state} can't be made: {error}") from error


async def _expire(agreements: AgreementService) -> None:
    """Tell each agreement's end when it comes, until cancelled."""
    while True:
        expired = await asyncio.to_thread(agreements.expire_due)
        if expired:
            _log.info("%d agreements expired", expired)
        await asyncio.sleep(_EXPIRY_SECONDS)
