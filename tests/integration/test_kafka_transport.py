"""Where Kafka misbehaves, what it has is still a beginning of the log."""

import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest

from domain_agent.control.kafka import STALL_SECONDS, WINDOW_BYTES, KafkaTransport
from examples.airline.broker import Broker, admin
from mesh.errors import EvidenceUnavailable
from mesh.evidence.canonical import canonical
from mesh.evidence.cloudevents import decode_kafka
from mesh.evidence.codec import Draft
from mesh.evidence.events import EventType
from mesh.kafka.settings import KafkaSettings
from tests.broker import Kept, deliver, fresh_topic, wait_until

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def record(number: int, size: int = 10) -> bytes:
    data = canonical({"text": f"{number}" * size})
    event_id = f"event-{number}"
    return Draft(
        event_id, "/agents/bookings/bookings-1", EventType.REFUSED, NOW, event_id, data
    ).record(number)


class Elapsed:
    """Seconds that pass as they do, and as many more as a test says."""

    def __init__(self) -> None:
        self.more = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.more


@pytest.fixture
def elapsed() -> Elapsed:
    return Elapsed()


@pytest.fixture
def topic(own_broker: Broker) -> str:
    return fresh_topic(own_broker)


@pytest.fixture
def transport(own_broker: Broker, topic: str, elapsed: Elapsed) -> Iterator[KafkaTransport]:
    settings = KafkaSettings(brokers=(own_broker.address,))
    transport = KafkaTransport(settings, topic, "bookings/bookings-1", elapsed)
    yield transport
    transport.close()


def sequences(broker: Broker, topic: str) -> list[int]:
    with Kept(broker.address, topic) as kept:
        return [decode_kafka(r.key, r.headers, r.value).event.sequence for r in kept.everything()]


def await_stored(transport: KafkaTransport, last: int) -> None:
    wait_until(lambda: transport.stored() == last, f"{last} is stored")


def records(first: int, last: int) -> Sequence[bytes]:
    return [record(number) for number in range(first, last + 1)]


def test_a_broker_that_answers_nothing_is_left_for_a_new_connection(
    own_broker: Broker, topic: str, transport: KafkaTransport, elapsed: Elapsed
) -> None:
    deliver(transport, 1, records(1, 10))
    own_broker.pause()
    assert transport.send(11, records(11, 30)) == 20
    assert transport.stored() == 10
    elapsed.more = STALL_SECONDS + 1
    with pytest.raises(EvidenceUnavailable, match="nothing was stored for 60 s"):
        transport.stored()
    own_broker.resume()
    deliver(transport, 11, records(11, 40))
    found = sequences(own_broker, topic)
    assert list(dict.fromkeys(found)) == list(range(1, 41))


def test_nothing_overtakes_a_record_that_the_topic_does_not_take(
    own_broker: Broker, topic: str, transport: KafkaTransport
) -> None:
    with admin(own_broker.address) as client:
        client.create_topics(
            {
                f"{topic}-small": {
                    "num_partitions": 1,
                    "replication_factor": 1,
                    "configs": {"max.message.bytes": "2000", "compression.type": "uncompressed"},
                }
            },
            wait_for_metadata=True,
        )
    settings = KafkaSettings(brokers=(own_broker.address,))
    small = KafkaTransport(settings, f"{topic}-small", "bookings/bookings-1", time.monotonic)
    batch = [record(1), record(2), record(3, 20_000), record(4), record(5)]
    with pytest.raises(EvidenceUnavailable, match="does not take events"):
        small.send(1, batch)
        await_stored(small, 5)
    assert sequences(own_broker, f"{topic}-small") in ([], [1], [1, 2])
    small.close()


def test_it_takes_no_more_than_its_window_while_nothing_is_stored(
    own_broker: Broker, transport: KafkaTransport
) -> None:
    deliver(transport, 1, records(1, 1))
    own_broker.pause()
    sent, size = 1, 0
    large = [record(number, 100_000) for number in (7, 8)]
    while transport.send(sent + 1, large):
        sent, size = sent + 2, size + sum(map(len, large))
    assert WINDOW_BYTES <= size < WINDOW_BYTES + 400_000
    assert transport.stored() == 1
