"""The agent's gRPC server: limits, TLS, health and reflection around the services it is given."""

import ipaddress
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from domain_agent.interceptors import (
    Alarms,
    Callers,
    Metadata,
    NotServed,
    Patience,
    Refusals,
)

RESERVED_WORKERS = 8
# A handshake carries its credentials in another form, and checks them itself.
FREE = (
    "/grpc.health.",
    "/grpc.reflection.",
    "/arrow.flight.protocol.FlightService/Handshake",
)
_MIB = 1024 * 1024


class AddressRefused(Exception):
    """The server must not listen there: tokens and data would cross the network in the clear."""


@dataclass(frozen=True, slots=True)
class Tls:
    """PEM texts; with authorities, clients must show a certificate of theirs."""

    certificate: bytes
    key: bytes
    client_authorities: bytes | None = None


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """Where to listen, and how much of the process clients may take."""

    address: str
    workers: int = 40
    tls: Tls | None = None
    max_request_bytes: int = 4 * _MIB
    max_metadata_bytes: int = 16 * 1024
    message_seconds: float = 5.0
    stall_seconds: float = 60.0
    tick_seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.workers <= RESERVED_WORKERS:
            raise ValueError(f"workers must be more than {RESERVED_WORKERS}, not {self.workers}")

    @property
    def streams(self) -> int:
        """How many streams may run, so that health and decisions always find a thread."""
        return self.workers - RESERVED_WORKERS


class Service(Protocol):
    @property
    def name(self) -> str:
        """The full name that reflection and health show."""

    def register(self, server: grpc.Server) -> None:
        """Add the handlers."""


class AgentServer:
    """A server that is bound when constructed and serves from start to stop."""

    def __init__(
        self,
        settings: ServerSettings,
        services: Sequence[Service],
        check: Callable[[Metadata], object],
        elapsed: Callable[[], float],
    ) -> None:
        check_address(settings.address, settings.tls)
        self._alarms = Alarms(elapsed, settings.tick_seconds)
        self._pool = ThreadPoolExecutor(settings.workers, thread_name_prefix="rpc")
        patience = Patience(self._alarms, settings.message_seconds, settings.stall_seconds)
        self._server = grpc.server(
            self._pool,
            interceptors=[Refusals(), Callers(check, FREE), patience],
            options=_options(settings),
            maximum_concurrent_rpcs=4 * settings.workers,
        )
        self._health = _Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        for service in services:
            service.register(self._server)
        self._names = [service.name for service in services]
        served = (*self._names, health.SERVICE_NAME, reflection.SERVICE_NAME)
        reflection.enable_server_reflection(served, self._server)
        self.port = self._bind(settings)

    def start(self) -> None:
        self._alarms.start()
        self._server.start()
        self.serving(True)

    def serving(self, yes: bool) -> None:
        """What health says of the server and each of its services."""
        answer = health_pb2.HealthCheckResponse
        for name in ("", *self._names):
            self._health.set(name, answer.SERVING if yes else answer.NOT_SERVING)

    def stop(self, grace: float) -> None:
        """Refuse new calls, let running ones end for `grace` seconds, then cancel them."""
        self.serving(False)
        self._server.stop(grace).wait()
        self._pool.shutdown(wait=True)
        self._alarms.stop()

    def _bind(self, settings: ServerSettings) -> int:
        if settings.tls is None:
            return self._server.add_insecure_port(settings.address)
        credentials = grpc.ssl_server_credentials(
            [(settings.tls.key, settings.tls.certificate)],
            root_certificates=settings.tls.client_authorities,
            require_client_auth=settings.tls.client_authorities is not None,
        )
        return self._server.add_secure_port(settings.address, credentials)


def check_address(address: str, tls: Tls | None) -> None:
    """Raises AddressRefused for anything but this machine's own loopback without TLS."""
    host = address.rpartition(":")[0].strip("[]")
    if tls is None and not _is_loopback(host):
        raise AddressRefused(
            f"{address} is reachable from other machines and no certificate is set; "
            "listen on 127.0.0.1, ::1 or localhost, or set a certificate and its key"
        )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _options(settings: ServerSettings) -> list[tuple[str, int]]:
    return [
        ("grpc.max_receive_message_length", settings.max_request_bytes),
        ("grpc.max_metadata_size", settings.max_metadata_bytes),
        ("grpc.absolute_max_metadata_size", settings.max_metadata_bytes),
        ("grpc.max_concurrent_streams", 2 * settings.workers),
        ("grpc.so_reuseport", 0),
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        ("grpc.http2.min_recv_ping_interval_without_data_ms", 10_000),
        ("grpc.http2.max_ping_strikes", 2),
    ]


class _Health(health.HealthServicer):
    """Answers checks; a watch would hold a thread for as long as an unknown client likes."""

    def Watch(self, request: Any, context: Any, send_response_callback: Any = None) -> Any:  # noqa: N802 - the RPC's name
        raise NotServed("Health can be checked, not watched; poll Check.")
