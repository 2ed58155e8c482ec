"""A control plane in this process, and clients for its callers over real gRPC."""

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from control_plane.app import ControlPlane
from control_plane.settings import PolicySettings, Settings
from control_plane.sources import Sources, system_sources
from mesh.errors import MeshError
from mesh.identity.tokens import agent_token
from mesh.leases import DEFAULT_LEASES, Leases
from mesh.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    agreements_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    contracts_pb2_grpc,
    erasures_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    logs_pb2_grpc,
    opas_pb2_grpc,
    policies_pb2_grpc,
    purposes_pb2,
    purposes_pb2_grpc,
    status_pb2_grpc,
)
from mesh.wire.status import from_rpc_error
from tests.unit.control_plane.sealing import USERS, wrapped_keys

# Policies go into force without OPA's checks, and without agents that rehearse them.
FREE = PolicySettings(unchecked="allowed", rehearsal="optional")


class Clock:
    """The real time, moved as far ahead as a test says."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


class _Bearer(
    grpc.UnaryUnaryClientInterceptor,
    grpc.UnaryStreamClientInterceptor,
    grpc.StreamUnaryClientInterceptor,
):
    def __init__(self, token: str) -> None:
        self._metadata = [("authorization", f"Bearer {token}")]

    def _call(self, continuation, details, request):  # type: ignore[no-untyped-def]
        return continuation(details._replace(metadata=self._metadata), request)

    intercept_unary_unary = _call
    intercept_unary_stream = _call
    intercept_stream_unary = _call


class Client:
    """Every service, called with one token."""

    def __init__(self, address: str, token: str) -> None:
        self.token = token
        self.channel = grpc.insecure_channel(address)
        channel = grpc.intercept_channel(self.channel, _Bearer(token)) if token else self.channel
        self.agents = agents_pb2_grpc.AgentServiceStub(channel)
        self.agreements = agreements_pb2_grpc.AgreementServiceStub(channel)
        self.audit = audit_pb2_grpc.AuditServiceStub(channel)
        self.contracts = contracts_pb2_grpc.ContractServiceStub(channel)
        self.erasures = erasures_pb2_grpc.ErasureServiceStub(channel)
        self.identity = identity_pb2_grpc.IdentityServiceStub(channel)
        self.logs = logs_pb2_grpc.LogServiceStub(channel)
        self.opas = opas_pb2_grpc.OpaServiceStub(channel)
        self.policies = policies_pb2_grpc.PolicyServiceStub(channel)
        self.purposes = purposes_pb2_grpc.PurposeServiceStub(channel)
        self.status = status_pb2_grpc.StatusServiceStub(channel)

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call on the bare channel carries."""
        return (("authorization", f"Bearer {self.token}"),)


@dataclass
class Plane:
    """A running control plane."""

    address: str
    state: Path
    keys: Path
    clock: Clock
    loop: asyncio.AbstractEventLoop
    opa_address: str = ""
    clients: list[Client] = field(default_factory=list)

    def calls(self, method: str) -> int:
        """How many handlers of a method run now."""

        async def count() -> int:
            names = [task.get_name() for task in asyncio.all_tasks()]
            return sum(name.startswith("Handle") and f"/{method}]" in name for name in names)

        return asyncio.run_coroutine_threadsafe(count(), self.loop).result(10)

    def client(self, token: str) -> Client:
        """A client with a token; empty means none."""
        client = Client(self.address, token)
        self.clients.append(client)
        return client

    @property
    def admin(self) -> Client:
        """The administrator of the first start."""
        return self.client((self.state / "admin.token").read_text().strip())

    def user(self, name: str, teams: tuple[str, ...] = (), duties: tuple[str, ...] = ()) -> Client:
        """Somebody with a token from the administrator."""
        principal = identity_pb2.Principal(kind="user", subject=name, teams=teams, duties=duties)
        request = identity_pb2.IssueTokenRequest(principal=principal)
        return self.client(self.admin.identity.IssueToken(request).token)

    def purpose(self, purpose: str = "crew-planning") -> None:
        """Register a purpose."""
        self.admin.purposes.AddPurpose(
            purposes_pb2.AddPurposeRequest(id=purpose, title=purpose.replace("-", " "))
        )

    def agent(
        self,
        domain: str = "bookings",
        agent: str = "bookings-1",
        key: Ed25519PrivateKey | None = None,
    ) -> Client:
        """An enrolled agent with a token of its own making."""
        key = key or Ed25519PrivateKey.generate()
        enrol(self, domain, agent, key)
        token = agent_token(domain, agent, key, uuid.uuid4().hex, self.clock())
        client = self.client(token)
        keys = wrapped_keys(self.keys, f"{domain}/{agent}", USERS)
        client.audit.ReportEvidence(audit_pb2.ReportEvidenceRequest(keys=keys))
        return client


def enrol(
    plane: Plane, domain: str, agent: str, key: Ed25519PrivateKey, join_token: str = ""
) -> agents_pb2.EnrolAgentResponse:
    """Enrol with a join token; made here unless given."""
    join_token = (
        join_token
        or plane.admin.agents.CreateJoinToken(
            agents_pb2.CreateJoinTokenRequest(domain=domain)
        ).token
    )
    request = agents_pb2.EnrolAgentRequest(
        join_token=join_token,
        id=agent,
        public_key=key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
        proof=key.sign(f"meshwarden-enrol:{join_token}:{agent}".encode()),
    )
    return plane.client("").agents.EnrolAgent(request)


@contextmanager
def running(
    state: Path,
    leases: Leases = DEFAULT_LEASES,
    database: str | None = None,
    keys: Path | None = None,
    policies: PolicySettings = FREE,
    opa: str | None = None,
) -> Iterator[Plane]:
    """A control plane on a free loopback port, until the block ends."""
    clock = Clock()
    real = system_sources()
    sources = Sources(clock, real.new_id, real.new_secret)
    settings = Settings(
        state,
        "127.0.0.1:0",
        leases,
        database=database,
        keys=keys,
        policies=policies,
        opa_listen=opa,
    )
    started: Future[tuple[str, asyncio.AbstractEventLoop, str]] = Future()
    stopping = asyncio.Event()

    async def serve() -> None:
        control = ControlPlane(settings, sources)
        try:
            address = await control.start()
        except BaseException as error:  # noqa: BLE001 - the waiting test raises it
            started.set_exception(error)
            return
        started.set_result((address, asyncio.get_running_loop(), control.opa_address or ""))
        await stopping.wait()
        await control.stop()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        address, loop, opa_address = started.result(30)
        plane = Plane(address, state, keys or state, clock, loop, opa_address)
        try:
            yield plane
        finally:
            for client in plane.clients:
                client.channel.close()
            loop.call_soon_threadsafe(stopping.set)
    finally:
        thread.join()


def error_of(call: Callable[[], object]) -> MeshError:
    """The mesh's error that a call ends with."""
    with pytest.raises(grpc.RpcError) as refused:
        call()
    return from_rpc_error(refused.value, "the control plane")


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)
