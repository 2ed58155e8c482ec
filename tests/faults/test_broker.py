"""R5 and R6: the broker is away, killed, slow, silent or cut; every event arrives, in order."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Engine

from control_plane.audit.indexer import Indexer, UsageTopic
from control_plane.audit.indexing import Indexing, Patience
from control_plane.database import Database, migrate, open_database
from control_plane.vault.vault import Vault
from domain_agent.control.kafka import KafkaTransport
from domain_agent.control.shipping import Shipper
from examples.airline.broker import Broker
from mesh.kafka.settings import KafkaSettings
from tests.broker import check_parts, fresh_topic, wait_until
from tests.faults.accumulating import Accumulator, State
from tests.faults.arrived import alarms, in_database, in_topic, reads_indexed
from tests.faults.making import AGENT, DOMAIN, Making, spread
from tests.faults.proxy import Proxy, proxied
from tests.faults.tally import Scale, Trial

AWAY = "broker down while events accumulate, then killed while they drain"
FLAPS = "flaps between agent, broker and control plane: delay, close, RST, half-open, lost answers"
FROZEN = "SIGSTOP of control plane, agent and broker, and half-open connections between them"
Opened = Callable[[str, str], Trial]
LONG = 900.0


@dataclass(frozen=True, slots=True)
class Fronted:
    """A broker, and a proxy that clients of its address stay with."""

    broker: Broker
    proxy: Proxy


@pytest.fixture(scope="module")
def one_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronted]:
    check_parts()
    with (
        proxied() as proxy,
        Broker(tmp_path_factory.mktemp("kafka"), proxy.port) as broker,
    ):
        proxy.target = broker.behind_proxy
        yield Fronted(broker, proxy)


@pytest.fixture
def fronted(one_broker: Fronted) -> Iterator[Fronted]:
    """The module's broker; it is up again for whoever comes next."""
    yield one_broker
    if one_broker.broker.process is None:
        one_broker.broker.start()


@contextmanager
def indexed(broker: str, topic: str, folder: Path, url: str | None) -> Iterator[Engine]:
    """A control plane's indexer at work on an empty database."""
    engine = open_database(folder / "control.db", url)
    migrate(engine)
    usage = UsageTopic(KafkaSettings(brokers=(broker,)), topic, f"group-of-{topic}")
    indexing = Indexing(Vault(X25519PrivateKey.generate()), lambda *_: True, Patience())
    database = Database(engine, lambda _: None)
    indexer = Indexer(usage, database, indexing, lambda: datetime.now(UTC))
    indexer.start()
    try:
        yield engine
    finally:
        indexer.stop()
        engine.dispose()


def await_indexed(engine: Engine, size: int, row: Trial) -> None:
    """Wait until the audit has that many events of the agent; how fast goes into the row."""
    began = time.monotonic()
    query = "SELECT coalesce(max(sequence), 0) FROM usage_event"

    def there() -> bool:
        with engine.connect() as connection:
            return bool(connection.exec_driver_sql(query).scalar_one() >= size)

    wait_until(there, "all is indexed", LONG)
    row.took("indexed, after the drain", time.monotonic() - began)


def check_indexed(engine: Engine, size: int, root: str) -> None:
    """The audit has the log, each event once, and nothing to complain of."""
    in_database(engine, DOMAIN, AGENT).check(size, root, "the database")
    reads = reads_indexed(engine, DOMAIN, AGENT)
    assert set(reads) == {"completed"}, reads
    assert alarms(engine) == []


def await_drained(agent: Accumulator, last: int) -> None:
    """Wait until Kafka has acknowledged that many events."""
    wait_until(lambda: agent.state.acknowledged >= last, f"{last} have drained", LONG)


def accumulate(
    broker: Broker, agent: Accumulator, events: int, kills: int, row: Trial
) -> tuple[State, State]:
    """Fill while the broker is away, drain with it killed in between; the states around."""
    first = agent.state
    broker.stop()
    filled = agent.fill(events)
    assert filled.acknowledged <= first.size
    broker.start()
    began, backlog = time.monotonic(), filled.size - first.acknowledged
    for place in spread(backlog, kills):
        await_drained(agent, first.acknowledged + place)
        broker.kill()
        broker.start()
        row.count("broker kills amid the drain")
    await_drained(agent, filled.size)
    row.took(f"drain of {events:,}, broker starts included", time.monotonic() - began)
    row.count("events accumulated", backlog)
    row.tried += 1
    return filled, agent.state


def test_what_accumulates_while_the_broker_is_away_all_arrives(
    fronted: Fronted, tmp_path: Path, empty_postgres: str, scale: Scale, trial: Opened
) -> None:
    row, broker, events = trial("R5", AWAY), fronted.broker, scale.of(100_000, 3_000)
    topic = fresh_topic(broker)
    with (
        indexed(broker.address, topic, tmp_path, empty_postgres) as engine,
        Accumulator(tmp_path, broker.address, topic) as agent,
    ):
        before = agent.fill(2_000)
        filled, drained = accumulate(broker, agent, events, scale.of(5, 1), row)
        check_arrived(broker, topic, engine, drained, row)
    if scale.full:
        row.count(f"KiB more memory with {events:,} waiting", filled.memory - before.memory)
        row.count("KiB more memory after the drain", drained.memory - before.memory)
        assert filled.memory - before.memory < 50 * 1024
        assert drained.memory - before.memory < 50 * 1024


def test_a_broker_that_leaves_again_and_again_gets_all_of_it(
    fronted: Fronted, tmp_path: Path, scale: Scale, trial: Opened
) -> None:
    row, broker = trial("R5", AWAY), fronted.broker
    topic = fresh_topic(broker)
    with (
        indexed(broker.address, topic, tmp_path, None) as engine,
        Accumulator(tmp_path, broker.address, topic) as agent,
    ):
        for number in range(scale.of(20, 1)):
            accumulate(broker, agent, scale.of(2_000, 500), number % 2, row)
        check_arrived(broker, topic, engine, agent.state, row)


def check_arrived(broker: Broker, topic: str, engine: Engine, state: State, row: Trial) -> None:
    """The topic and the audit have the log as it is."""
    await_indexed(engine, state.size, row)
    check_indexed(engine, state.size, state.root)
    found = in_topic(broker.address, topic)
    found.check(state.size, state.root, "the topic")
    row.count("records repeated in the topic, equal", found.repeated)
    row.count("events lost, changed or out of order", 0)


class Flaps:
    """Everything a connection can suffer, by chance."""

    def __init__(self, proxy: Proxy, rng: random.Random, row: Trial) -> None:
        self._proxy, self._rng, self._row = proxy, rng, row
        self._kinds = {
            "delays": self._slow,
            "closings": self._closed,
            "resets, connections refused meanwhile": self._reset,
            "half-open and released": self._held,
            "half-open and dead": self._lost,
            "cut for an answer": self._cut,
        }

    def flap(self, number: int) -> None:
        """One of each kind in turn, for a random moment."""
        name = list(self._kinds)[number % len(self._kinds)]
        self._kinds[name](self._rng.uniform(0.02, 0.6))
        self._row.count(name)
        self._row.tried += 1

    def silence(self, seconds: float) -> None:
        """Half-open for longer than clients wait for an answer."""
        self._lost(seconds)
        self._row.count("half-open for longer than a request's timeout")

    def _slow(self, seconds: float) -> None:
        self._proxy.delay = seconds / 3
        time.sleep(seconds)
        self._proxy.delay = 0.0

    def _closed(self, seconds: float) -> None:
        self._proxy.drop()

    def _reset(self, seconds: float) -> None:
        self._proxy.refuse(on=True)
        self._proxy.reset()
        time.sleep(seconds)
        self._proxy.refuse(on=False)

    def _held(self, seconds: float) -> None:
        self._proxy.hold()
        time.sleep(seconds)
        self._proxy.release(lost=False)

    def _lost(self, seconds: float) -> None:
        self._proxy.hold()
        time.sleep(seconds)
        self._proxy.release(lost=True)

    def _cut(self, seconds: float) -> None:
        if self._proxy.swallow_answer(2.0):
            self._row.count("answers lost after the request went through")


def going_on(making: Making, stored: int) -> float:
    """Wait until more than that is stored; how long it took."""
    began = time.monotonic()
    wait_until(lambda: making.spool.acknowledged > stored, "it goes on", LONG)
    return time.monotonic() - began


def test_through_flaps_every_event_arrives_in_order_and_repeats_are_equal(
    fronted: Fronted, tmp_path: Path, scale: Scale, trial: Opened
) -> None:
    row, proxy = trial("R6", FLAPS), fronted.proxy
    topic, making = fresh_topic(fronted.broker), Making(tmp_path)
    settings = KafkaSettings(brokers=(proxy.address,))
    transport = KafkaTransport(settings, topic, f"{DOMAIN}/{AGENT}", time.monotonic)
    shipper = Shipper(making.spool, transport)
    flaps = Flaps(proxy, random.Random(6), row)  # noqa: S311 - a seeded series
    with indexed(proxy.address, topic, tmp_path, None) as engine:
        shipper.start()
        with making.reading(0.005):
            for number in range(scale.of(200, 6)):
                stored = making.spool.acknowledged
                flaps.flap(number)
                if number % 2:
                    row.took("from a flap to the next event stored", going_on(making, stored))
            if scale.full:
                for _ in range(3):
                    flaps.silence(15.0)
        head = making.spool.head
        wait_until(lambda: making.spool.acknowledged == head.size, "all is acknowledged", LONG)
        await_indexed(engine, head.size, row)
        shipper.stop()
        check_indexed(engine, head.size, head.root.hex())
    found = in_topic(fronted.broker.address, topic)
    found.check(head.size, head.root.hex(), "the topic")
    row.count("events", head.size)
    row.count("records repeated in the topic, equal", found.repeated)
    row.count("events lost, changed or out of order", 0)


def test_a_frozen_broker_gets_everything_when_it_goes_on(
    fronted: Fronted, tmp_path: Path, scale: Scale, trial: Opened
) -> None:
    row, broker = trial("R8", FROZEN), fronted.broker
    topic, making = fresh_topic(broker), Making(tmp_path)
    settings = KafkaSettings(brokers=(broker.address,))
    transport = KafkaTransport(settings, topic, f"{DOMAIN}/{AGENT}", time.monotonic)
    shipper = Shipper(making.spool, transport)
    rng = random.Random(8)  # noqa: S311 - a seeded series
    with indexed(broker.address, topic, tmp_path, None) as engine:
        shipper.start()
        with making.reading(0.005):
            for number in range(scale.of(12, 1)):
                stored = making.spool.acknowledged
                broker.pause()
                # Now and then for longer than a request's timeout and a group's session.
                time.sleep(15.0 if number % 4 == 3 else scale.of(1, 0) + rng.random())
                broker.resume()
                row.took("from a broker's going on to the next event", going_on(making, stored))
                row.tried += 1
                row.count("times the broker was frozen")
        head = making.spool.head
        wait_until(lambda: making.spool.acknowledged == head.size, "all is acknowledged", LONG)
        await_indexed(engine, head.size, row)
        shipper.stop()
        check_indexed(engine, head.size, head.root.hex())
    in_topic(broker.address, topic).check(head.size, head.root.hex(), "the topic")
