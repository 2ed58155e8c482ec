"""The gRPC server: its services, its limits, and where it listens."""

import gc
import logging
from concurrent.futures import Executor

import grpc
from grpc import aio

from control_plane.interceptors import Admission, CallInterceptor
from control_plane.settings import Settings, SettingsInvalid
from mesh.v1 import (
    agents_pb2,
    agreements_pb2,
    audit_pb2,
    contracts_pb2,
    erasures_pb2,
    identity_pb2,
    logs_pb2,
    opas_pb2,
    policies_pb2,
    purposes_pb2,
    status_pb2,
)

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
        (erasures_pb2, "ErasureService"),
        (identity_pb2, "IdentityService"),
        (logs_pb2, "LogService"),
        (opas_pb2, "OpaService"),
        (policies_pb2, "PolicyService"),
        (purposes_pb2, "PurposeService"),
        (status_pb2, "StatusService"),
    )
)


def collect_seldom() -> None:
    """Let the garbage collector pass over what is there for good, and seldom look at the rest.

    A batch of events is a hundred thousand objects that none of is garbage before its end: looking
    for some in it again and again took a third of the time of storing it.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 10, 10)


def make_server(admission: Admission, threads: Executor, log: logging.Logger) -> aio.Server:
    """A server whose plain handlers run in `threads`; it listens nowhere yet."""
    return aio.server(
        migration_thread_pool=threads,
        interceptors=[CallInterceptor(admission, log)],
        options=_OPTIONS,
    )


def bind(server: aio.Server, settings: Settings) -> str:
    """Listen; the address with the real port. Raises SettingsInvalid."""
    listen, tls = settings.listen, settings.tls
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
