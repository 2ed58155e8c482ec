"""One Kafka broker for the tests of a session; those that break a broker start their own."""

import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Self

import pytest
from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord

from domain_agent.control.shipping import Transport
from examples.airline.broker import Broker, admin, missing_parts
from mesh.errors import EvidenceUnavailable

WAIT_SECONDS = 30.0


def check_parts() -> None:
    """Skip, with the reason, where Kafka can't run; in CI that is a failure instead."""
    missing = missing_parts()
    if missing and os.environ.get("CI") != "true":
        pytest.skip(missing)


@pytest.fixture(scope="session")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that nobody stops; ask it for a topic of one's own."""
    check_parts()
    with Broker(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(scope="session")
def mortal_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A broker that tests stop, kill and pause one after another."""
    check_parts()
    with Broker(tmp_path_factory.mktemp("mortal-kafka")) as broker:
        yield broker


@pytest.fixture
def own_broker(mortal_broker: Broker) -> Iterator[Broker]:
    """A broker to stop, kill and pause; it is up again for whoever comes next."""
    yield mortal_broker
    if mortal_broker.process is None:
        mortal_broker.start()
    mortal_broker.resume()


def fresh_topic(
    broker: Broker, partitions: int = 3, configs: Mapping[str, str] | None = None
) -> str:
    """A topic of the test's own."""
    name = f"topic-{uuid.uuid4().hex}"
    with admin(broker.address) as client:
        client.create_topics(
            {
                name: {
                    "num_partitions": partitions,
                    "replication_factor": 1,
                    "configs": dict(configs or {}),
                }
            },
            wait_for_metadata=True,
        )
    return name


class Kept:
    """What a topic keeps, read from its start."""

    def __init__(self, address: str, topic: str) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest"
        )
        found = self._consumer.partitions_for_topic(topic) or set()
        self._partitions = [TopicPartition(topic, number) for number in sorted(found)]
        self._consumer.assign(self._partitions)
        self._records: list[ConsumerRecord] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._consumer.close()

    def everything(self) -> list[ConsumerRecord]:
        """All that was stored before now; by partition, each in order."""
        ends = self._consumer.end_offsets(self._partitions)
        while any(self._consumer.position(one) < end for one, end in ends.items()):
            for records in self._consumer.poll(timeout_ms=200).values():
                self._records.extend(records)
        return sorted(self._records, key=lambda one: (one.partition, one.offset))


def deliver(transport: Transport, first: int, records: Sequence[bytes]) -> None:
    """Send records as the shipper does, again while the broker is not ready, until stored."""
    last = first + len(records) - 1
    sent = 0

    def stored() -> bool:
        nonlocal sent
        try:
            sent = sent or transport.send(first, records)
            return transport.stored() >= last
        except EvidenceUnavailable:
            sent = 0
            return False

    wait_until(stored, f"events {first} to {last} are in the topic")


def wait_until(holds: Callable[[], object], what: str, seconds: float = WAIT_SECONDS) -> None:
    """Wait for a condition. Raises AssertionError when it does not come true in time."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain until {what}"
        time.sleep(0.02)
