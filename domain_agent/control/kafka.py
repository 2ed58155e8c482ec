"""Ships the spool to a Kafka topic: idempotent, in order, and never ahead of what is stored."""

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kafka import KafkaProducer
from kafka.future import Future
from kafka.partitioner.default import murmur2

from mesh.errors import EvidenceUnavailable
from mesh.evidence.cloudevents import record_to_kafka
from mesh.kafka.producing import end_producer, open_producer, stop_sending
from mesh.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

# How much may be on its way at once: enough to keep the producer busy, little to send again.
WINDOW_BYTES = 8 * 1024 * 1024
ROOM_SECONDS = 0.25
# Without any progress for so long, start over with a new producer, which asks the brokers of
# the settings again: an old one only knows addresses that may be nobody's by now.
STALL_SECONDS = 60.0
CLOSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class _Sent:
    """A run of records on its way: its last sequence and its size."""

    last: int
    size: int


class KafkaTransport:
    """One producer at a time. A failure closes it before anything overtakes what failed.

    Each agent writes one partition and the producer has one batch of it on its way, so that what
    a broker has is always a beginning of what was sent.
    """

    def __init__(
        self, settings: KafkaSettings, topic: str, client_id: str, elapsed: Callable[[], float]
    ) -> None:
        self._settings, self._topic, self._client_id = settings, topic, client_id
        self._elapsed = elapsed
        self._producer: KafkaProducer | None = None
        self._partition = 0
        self._under_way: deque[_Sent] = deque()
        self._size = 0
        self._stored = 0
        self._progress = 0.0
        self._failure: Exception | None = None
        self._changed = threading.Condition()

    def send(self, first: int, records: Sequence[bytes]) -> int:
        """Take consecutive records, all or, when much is under way, none; how many it took.

        Raises EvidenceUnavailable: then what is not stored has to be sent again.
        """
        self._check()
        with self._changed:
            if not self._changed.wait_for(self._has_room, ROOM_SECONDS):
                return 0
            self._check()
            if not self._under_way:
                self._progress = self._elapsed()
            size = sum(map(len, records))
            self._size += size
            sent = _Sent(first + len(records) - 1, size)
            self._under_way.append(sent)
        try:
            self._produce(sent, records)
        except Exception as error:  # noqa: BLE001 - whatever it is, the records are not on their way
            self._start_over(error)
        return len(records)

    def stored(self) -> int:
        """The last sequence that the brokers have stored; 0 before the first is known.

        Raises EvidenceUnavailable: then what is not stored has to be sent again.
        """
        self._check()
        return self._stored

    def close(self) -> int:
        """Wait a moment for what is under way; the last sequence that is stored."""
        with self._changed:
            done = self._changed.wait_for(
                lambda: not self._under_way or self._failure is not None, CLOSE_SECONDS
            )
        if not done:
            log.info("what Kafka has not stored yet is sent at the next start")
        self._discard()
        return self._stored

    def _produce(self, sent: _Sent, records: Sequence[bytes]) -> None:
        if self._producer is None:
            self._producer = open_producer(self._settings, self._client_id)
            # Found once: an agent has one key, and hashing it again takes a tenth of the time.
            partitions = sorted(self._producer.partitions_for(self._topic))
            key = record_to_kafka(records[0]).key
            self._partition = partitions[(murmur2(key) & 0x7FFFFFFF) % len(partitions)]
        send, topic, partition = self._producer.send, self._topic, self._partition

        def put(record: bytes) -> Future:
            key, headers, value = record_to_kafka(record)
            future = send(topic, value, key, headers, partition)
            return future.add_errback(self._failed)

        for record in records[:-1]:
            put(record)
        put(records[-1]).add_callback(self._delivered, sent)

    def _delivered(self, sent: _Sent, _: object) -> None:
        """On the producer's thread: everything up to here is stored."""
        with self._changed:
            if self._failure is not None:
                return
            while self._under_way and self._under_way[0].last <= sent.last:
                self._size -= self._under_way.popleft().size
            self._stored, self._progress = sent.last, self._elapsed()
            self._changed.notify_all()

    def _failed(self, error: Exception) -> None:
        """On the producer's thread: end it before it sends what follows the failed batch."""
        with self._changed:
            if self._failure is None:
                self._failure = error
                if self._producer is not None:
                    stop_sending(self._producer)
                self._changed.notify_all()

    def _has_room(self) -> bool:
        return self._size < WINDOW_BYTES or self._failure is not None

    def _check(self) -> None:
        """Raise what went wrong, once, when the failed producer is gone."""
        if self._failure is not None:
            self._start_over(self._failure)
        if self._under_way and self._elapsed() - self._progress > STALL_SECONDS:
            self._start_over(TimeoutError(f"nothing was stored for {STALL_SECONDS:.0f} s"))

    def _start_over(self, error: Exception) -> None:
        self._discard()
        brokers = ", ".join(self._settings.brokers)
        raise EvidenceUnavailable(
            f"Kafka at {brokers} does not take events for {self._topic}: {_said(error)}"
        ) from error

    def _discard(self) -> None:
        """End the producer at once, and forget what it did not deliver."""
        producer = self._producer
        if producer is not None:
            with self._changed:
                self._failure = self._failure or RuntimeError("discarded")
            end_producer(producer)
        with self._changed:
            self._producer, self._failure = None, None
            self._under_way.clear()
            self._size = 0


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__
