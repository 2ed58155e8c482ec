"""A Flight server for tests: real gRPC on a free port, tokens that are really checked."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import grpc

from domain_agent.flight.calls import caller_of
from domain_agent.flight.ports import Reads
from domain_agent.flight.service import FlightService, FlightSettings
from domain_agent.server import AgentServer, ServerSettings
from mesh import errors
from mesh.identity.principal import Caller, Principal, PrincipalKind, domain_audience

_KEY = secrets.token_bytes(32)
SETTINGS = ServerSettings(address="127.0.0.1:0", workers=16, tick_seconds=0.05)


def token(subject: str, lifetime: timedelta = timedelta(hours=1)) -> str:
    """A token that the checker accepts for as long as it lives."""
    claims = f"{subject}/{(datetime.now(UTC) + lifetime).timestamp()}"
    return f"{claims}/{_seal(claims)}"


class Checker:
    """Accepts the tokens made here: sealed, and not past their end."""

    def verify(self, token: str) -> Caller:
        claims, _, seal = token.rpartition("/")
        if not hmac.compare_digest(seal.encode(), _seal(claims).encode()):
            raise errors.TokenInvalid("The token is forged.")
        subject, _, end = claims.partition("/")
        expires = datetime.fromtimestamp(float(end), UTC)
        if expires <= datetime.now(UTC):
            raise errors.TokenExpired("The token expired; issue a new one.")
        principal = Principal(PrincipalKind.USER, subject)
        return Caller(principal, domain_audience("ops"), seal[:8], expires)


def _seal(claims: str) -> str:
    return hmac.new(_KEY, claims.encode(), hashlib.sha256).hexdigest()


@dataclass(frozen=True, slots=True)
class Endpoint:
    port: int

    @property
    def uri(self) -> str:
        return f"grpc://127.0.0.1:{self.port}"

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        with grpc.insecure_channel(
            f"127.0.0.1:{self.port}", [("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            yield channel


def metadata(subject: str = "ana", purpose: str = "planning") -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token(subject)}"), ("x-mesh-purpose", purpose))


@contextmanager
def serving(reads: Reads, settings: ServerSettings = SETTINGS) -> Iterator[Endpoint]:
    """The server over the reads, stopped at the end."""
    checker = Checker()
    service = FlightService(
        reads,
        checker,
        FlightSettings(streams=settings.streams, version="1.2.3"),
        time.monotonic,
        secrets.token_bytes,
    )
    server = AgentServer(
        settings, [service], lambda metadata: caller_of(metadata, checker), time.monotonic
    )
    server.start()
    try:
        yield Endpoint(server.port)
    finally:
        server.stop(grace=0)
        service.stop()
