"""Evidence over Kafka: how fast a backlog drains, and how fast the audit stores it."""

import base64
import random
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from kafka import KafkaProducer

from control_plane.audit.indexer import Indexer, UsageTopic
from control_plane.audit.indexing import Indexing, Patience
from control_plane.database import Database, migrate
from control_plane.postgres import open_postgres
from control_plane.serving import collect_seldom
from control_plane.vault.vault import Vault
from domain_agent.control.kafka import KafkaTransport
from domain_agent.control.shipping import Shipper
from domain_agent.spool.files import Files
from domain_agent.spool.spool import Spool, SpoolLimits
from examples.airline.broker import Broker
from examples.airline.postgres import Postgres
from mesh.evidence.canonical import canonical
from mesh.evidence.cloudevents import record_to_kafka
from mesh.evidence.codec import Draft
from mesh.evidence.events import EventType
from mesh.kafka.producing import open_producer
from mesh.kafka.settings import KafkaSettings
from tests.bench.decided import NOW
from tests.bench.measuring import Figure, Section, Spread, Target, alternate, ratios
from tests.bench.surroundings import Surroundings
from tests.broker import fresh_topic

_EVENTS = 20_000
_SOURCE = "/agents/bookings/bookings-1"
# One segment, so that nothing is dropped and each round finds the same backlog.
_LIMITS = SpoolLimits(quota=1 << 32, segment=1 << 32)


class _Unsynced(Files):
    """Writing the backlog is not what is measured."""

    def sync(self, descriptor: int) -> None:
        """Leave it to the system."""


def topics(given: Surroundings) -> list[Section]:
    """A backlog of reads, as agents seal them, beside the same records from a bare producer."""
    broker = given.stack.enter_context(Broker(given.folder / "kafka"))
    settings = KafkaSettings(brokers=(broker.address,))
    folder = given.folder / "backlog"
    spool = Spool(folder, _Unsynced(), _LIMITS)
    for number in range(1, _EVENTS + 1):
        spool.append(_draft(number))
    made = [record_to_kafka(record) for record in spool.read_records_after(0, 1 << 32)]
    size = round(sum(len(one.value) for one in made) / _EVENTS)

    def defaults() -> KafkaProducer:
        return KafkaProducer(bootstrap_servers=broker.address, acks="all", compression_type="lz4")

    def bare(opened: Callable[[], KafkaProducer]) -> float:
        topic = fresh_topic(broker, 1)
        # A drain has to connect too.
        began = time.perf_counter()
        producer = opened()
        for key, headers, value in made:
            producer.send(topic, value, key, headers)
        producer.flush()
        rate = _EVENTS / (time.perf_counter() - began)
        producer.close()
        return rate

    runs: dict[str, Callable[[], float]] = {
        "drain of a backlog": lambda: _drained(settings, fresh_topic(broker, 1), folder),
        "bare producer, same options": lambda: bare(lambda: open_producer(settings, "bare")),
        "bare producer, kafka-python's options": lambda: bare(defaults),
    }
    rates = alternate(runs, given.rounds)
    drain, same, usual = rates.values()
    figures = [Figure(what, Spread.of(of), "events/s") for what, of in rates.items()]
    figures.append(
        Figure("drain / bare, same options", ratios(drain, same), "", Target(0.9, at_most=False))
    )
    figures.append(Figure("drain / bare, its options", ratios(drain, usual), ""))
    indexed = _indexed(given, settings, broker, folder)
    figures.append(
        Figure(
            "indexed into PostgreSQL", Spread.of(indexed), "events/s", Target(5_000, at_most=False)
        )
    )
    note = f"{_EVENTS:,} events of {size:,} bytes on average; the broker shares the machine."
    return [Section("Evidence over Kafka", figures, note)]


def _draft(number: int) -> Draft:
    """Odd ones start a read, even ones complete it."""
    chance = random.Random(number)  # noqa: S311 - the same events in every run
    receipt = f"0198b0c4-7a10-7000-8000-{(number + 1) // 2:012d}"
    salt = base64.b64encode(chance.randbytes(16)).decode()
    if number % 2 == 0:
        data = canonical({"rows": 3, "bytes": 144, "duration_ms": 2, "salt": salt})
        event_id = f"0198b0c4-7a10-7000-8001-{number:012d}"
        return Draft(event_id, _SOURCE, EventType.COMPLETED, NOW, receipt, data)
    column = {"classification": "confidential", "category": None, "mask": "partial"}
    decision = {
        "product": "bookings.reservations",
        "dataset": "passengers",
        "agreement": None,
        "contract_version": "1.0.0",
        "decision": {"allow": True},
        "policy_digest": "0" * 64,
        "engine": "regopy",
        "columns": [{**column, "column": f"c{n}", "rules": ["library.floor"]} for n in range(5)],
    }
    fields = {
        "statement": "SELECT name, email, country FROM bookings.reservations.passengers",
        "purpose": "crew-planning",
        "revision": 12,
        "decisions": [decision],
        "personal": {"key": "k", "sealed": base64.b64encode(chance.randbytes(900)).decode()},
        "salt": salt,
    }
    return Draft(receipt, _SOURCE, EventType.STARTED, NOW, receipt, canonical(fields))


def _drained(settings: KafkaSettings, topic: str, folder: Path) -> float:
    spool = _Observed(folder)
    transport = KafkaTransport(settings, topic, "bookings/bookings-1", time.monotonic)
    shipper = Shipper(spool, transport)
    began = time.perf_counter()
    shipper.start()
    spool.drained.wait()
    rate = _EVENTS / (time.perf_counter() - began)
    shipper.stop()
    return rate


class _Observed(Spool):
    """Tells when all of it is acknowledged."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, Files(), _LIMITS)
        self.drained = threading.Event()

    def acknowledge(self, sequence: int) -> None:
        """Remember it, and tell."""
        super().acknowledge(sequence)
        if self.acknowledged == _EVENTS:
            self.drained.set()


def _indexed(
    given: Surroundings, settings: KafkaSettings, broker: Broker, folder: Path
) -> Sequence[float]:
    # As the control plane does.
    collect_seldom()
    server = given.stack.enter_context(Postgres({}))
    topic = fresh_topic(broker, 1)
    _drained(settings, topic, folder)
    rates = []
    for number in range(given.rounds):
        engine = open_postgres(server.url(server.create()))
        migrate(engine)
        indexing = Indexing(Vault(X25519PrivateKey.generate()), lambda tx, name: True, Patience())
        source = UsageTopic(settings, topic, f"round-{number}")
        database = Database(engine, lambda heads: None)
        indexer = Indexer(source, database, indexing, lambda: datetime.now(UTC))
        consumer = indexer.connect()
        taken = indexer.step(consumer)
        while not taken:
            taken = indexer.step(consumer)
        began, before = time.perf_counter(), taken
        while taken < _EVENTS:
            taken += indexer.step(consumer)
        rates.append((taken - before) / (time.perf_counter() - began))
        consumer.close(autocommit=False)
        engine.dispose()
    return rates
