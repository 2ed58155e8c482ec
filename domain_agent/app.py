"""The agent's composition root: every part is made here, by plain calls."""

import os
import threading
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import IO

from domain_agent.clock import Clock, SystemClock
from domain_agent.control.enrolment import Trust, enrol, load_trust, read_join_token
from domain_agent.control.kafka import KafkaTransport
from domain_agent.control.link import AgentIdentity, Link, load_or_make_key
from domain_agent.control.products import ProductPublisher
from domain_agent.control.reporting import Reporter
from domain_agent.control.shipping import AuditTransport, Shipper, Transport
from domain_agent.control.sync import Heard, SyncClient
from domain_agent.control.witnessing import Witnessing
from domain_agent.decisions import DecisionsService
from domain_agent.flight.calls import caller_of
from domain_agent.flight.service import FlightService, FlightSettings
from domain_agent.flight.shares import Shares
from domain_agent.governing import build_governed
from domain_agent.rehearsal.rehearser import Rehearser
from domain_agent.server import RESERVED_WORKERS, AgentServer, ServerSettings, Tls
from domain_agent.settings import AgentSettings
from domain_agent.snapshot.holder import SnapshotHolder
from domain_agent.spool.files import Files
from domain_agent.spool.spool import Spool
from domain_agent.state import lock_state
from domain_agent.trust import TrustedTokenKeys
from domain_agent.worker.pool import WorkerPool
from mesh.decisions.engines import Engine
from mesh.errors import EvidenceUnavailable
from mesh.identity.principal import domain_audience
from mesh.identity.tokens import TokenVerifier
from mesh.v1 import agents_pb2

STOP_SECONDS = 5.0
# At once, of the threads that streams leave; health needs one too.
DECISIONS = RESERVED_WORKERS - 2


@dataclass(frozen=True, slots=True)
class Agent:
    """An agent that is wired and enrolled; `stop` ends every read with its event."""

    uri: str
    server: AgentServer
    flight: FlightService
    pool: WorkerPool
    engine: Engine
    sync: SyncClient
    publisher: ProductPublisher
    shipper: Shipper
    reporter: Reporter
    witnessing: Witnessing
    rehearser: Rehearser
    link: Link
    lock: IO[str]

    def start(self) -> None:
        self.sync.start()
        self.publisher.start()
        self.shipper.start()
        self.reporter.start()
        self.witnessing.start()
        self.rehearser.start()
        self.server.start()

    def stop(self) -> None:
        self.server.stop(STOP_SECONDS)
        self.flight.stop()
        self.publisher.stop()
        self.reporter.stop()
        self.shipper.stop()
        self.witnessing.stop()
        self.rehearser.stop()
        self.sync.stop()
        self.pool.close()
        self.engine.close()
        self.link.close()
        self.lock.close()


def build(settings: AgentSettings) -> Agent:
    """Wire the agent, enrolling it first if it is new. Raises a MeshError or OSError."""
    clock, files = SystemClock(), Files()
    lock = lock_state(settings.state)
    key = load_or_make_key(settings.state / "agent.key", files)
    identity = AgentIdentity(settings.domain, settings.id, key)
    link = Link(settings.control_plane, identity, clock, _read(settings.tls.control_plane_ca))
    trust = _trust(settings, link, identity, files)
    governed = build_governed(settings, clock, files, trust, identity)
    holder, spool = governed.holder, governed.spool

    server_settings = ServerSettings(settings.listen, settings.streams, _tls(settings))
    verifier = TokenVerifier(
        domain_audience(settings.domain), TrustedTokenKeys(trust, holder), clock.now
    )
    flight = FlightService(
        governed.reads,
        verifier,
        FlightSettings(server_settings.streams, version("meshwarden")),
        clock.elapsed,
        os.urandom,
    )
    decisions = DecisionsService(
        holder,
        governed.decider,
        verifier,
        clock.now,
        Shares(DECISIONS, "decisions"),
    )
    server = AgentServer(
        server_settings,
        [flight, decisions],
        lambda metadata: caller_of(metadata, verifier),
        clock.elapsed,
    )
    uri = settings.advertise or _uri(settings, server.port)

    due = threading.Event()
    publisher = ProductPublisher(settings.products, link, due.set)

    def tend() -> None:
        holder.lease.keep_time()
        with suppress(EvidenceUnavailable):
            governed.events.write_owed()

    reporter = Reporter(link, lambda: _report(uri, publisher, spool, holder), tend, due)

    def installed() -> None:
        publisher.retry_refused()
        due.set()

    rehearser = Rehearser(link, spool, governed.keys, holder)
    heard = Heard(installed, rehearser.ask)
    sync = SyncClient(settings.domain, link, holder, trust.snapshot_keys, heard)
    shipper = Shipper(spool, _transport(settings, link, clock))
    witnessing = Witnessing(
        link=link,
        identity=identity,
        spool=spool,
        heads=governed.heads,
        keys=governed.keys,
        evidence_key=lambda: _evidence_key(holder),
        enforced=lambda: holder.highest_revision,
    )
    return Agent(
        uri,
        server,
        flight,
        governed.pool,
        governed.engine,
        sync,
        publisher,
        shipper,
        reporter,
        witnessing,
        rehearser,
        link,
        lock,
    )


def _trust(settings: AgentSettings, link: Link, identity: AgentIdentity, files: Files) -> Trust:
    path = settings.state / "trust.json"
    known = load_trust(path)
    if known is not None:
        return known
    return enrol(link, identity, read_join_token(settings.join_token_file), path, files)


def _transport(settings: AgentSettings, link: Link, clock: Clock) -> Transport:
    if settings.kafka is None:
        return AuditTransport(link)
    client_id = f"{settings.domain}/{settings.id}"
    return KafkaTransport(settings.kafka, settings.kafka.topic, client_id, clock.elapsed)


def _evidence_key(holder: SnapshotHolder) -> bytes | None:
    snapshot = holder.peek()
    keys = snapshot.keys if snapshot is not None else ()
    return next((key.public_key for key in keys if key.use == "evidence"), None)


def _report(
    uri: str, publisher: ProductPublisher, spool: Spool, holder: SnapshotHolder
) -> agents_pb2.ReportAgentRequest:
    snapshot = holder.peek()
    return agents_pb2.ReportAgentRequest(
        flight_uri=uri,
        version=version("meshwarden"),
        products=publisher.reports,
        spooled_events=spool.backlog,
        policy_digest=snapshot.policy.digest if snapshot is not None else "",
    )


def _tls(settings: AgentSettings) -> Tls | None:
    certificate, key = _read(settings.tls.certificate), _read(settings.tls.key)
    return Tls(certificate, key) if certificate is not None and key is not None else None


def _uri(settings: AgentSettings, port: int) -> str:
    scheme = "grpc+tls" if settings.tls.certificate is not None else "grpc"
    host = settings.listen.rpartition(":")[0]
    return f"{scheme}://{host}:{port}"


def _read(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()
