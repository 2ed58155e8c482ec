"""Publishes changes in the order of their revisions, at least once, one replica at a time."""

import logging
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from kafka import KafkaProducer
from kafka.errors import KafkaError

from control_plane.database import Database
from control_plane.outbox import store
from control_plane.outbox.rules import to_kafka
from mesh.errors import ControlUnavailable, Unavailable
from mesh.evidence.cloudevents import KafkaRecord
from mesh.kafka.producing import end_producer, open_producer, stop_sending
from mesh.kafka.settings import KafkaSettings

log = logging.getLogger(__name__)

BATCH = 500
HOLD = timedelta(seconds=30)
LOOK_SECONDS = 0.5
LONGEST_PAUSE = 5.0
DELIVERY_SECONDS = 15.0


class ChangesTopic:
    """A topic that takes records in order; a failure leaves nothing on its way."""

    def __init__(self, settings: KafkaSettings, topic: str, client_id: str) -> None:
        self._settings, self._topic, self._client_id = settings, topic, client_id
        self._producer: KafkaProducer | None = None

    def publish(self, records: Sequence[KafkaRecord]) -> None:
        """Return when all are stored, in this order. Raises ControlUnavailable."""
        try:
            producer = self._producer or open_producer(self._settings, self._client_id)
            self._producer = producer
            futures = [
                producer.send(self._topic, value, key, headers).add_errback(
                    lambda _: stop_sending(producer)
                )
                for key, headers, value in records
            ]
            for future in futures:
                future.get(DELIVERY_SECONDS)
        except (KafkaError, OSError, ValueError) as error:
            self.close()
            brokers = ", ".join(self._settings.brokers)
            raise ControlUnavailable(
                f"Kafka at {brokers} does not take changes for {self._topic}: {error!r}",
                server=brokers,
            ) from error

    def close(self) -> None:
        """End the producer; what it has not delivered is published again."""
        producer, self._producer = self._producer, None
        if producer is not None:
            end_producer(producer)


class Relay:
    """One thread that publishes what the timeline has and the topic has not."""

    def __init__(
        self,
        database: Database,
        topic: ChangesTopic,
        replica: str,
        clock: Callable[[], datetime],
    ) -> None:
        self._database, self._topic = database, topic
        self._replica, self._clock = replica, clock
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the batch under way."""
        self._stopping.set()
        self._thread.join()
        self._topic.close()

    def step(self) -> int:
        """Publish the next changes, if they are ours to publish; how many."""
        now = self._clock()
        with self._database.reading() as tx:
            box = store.outbox(tx)
            if box.holder != self._replica and box.held_until > now:
                return 0
            changes = store.changes_after(tx, box.published, BATCH)
        if not changes:
            return 0
        if box.holder != self._replica or box.held_until < now + HOLD / 2:
            with self._database.writing() as tx:
                if not store.hold(tx, self._replica, now, now + HOLD):
                    return 0
        self._topic.publish([to_kafka(change) for change in changes])
        with self._database.writing() as tx:
            if not store.advance(tx, self._replica, box.published, changes[-1].revision):
                log.warning("another replica publishes changes; some may be there twice")
                return 0
        return len(changes)

    def _run(self) -> None:
        pause = LOOK_SECONDS
        while not self._stopping.is_set():
            try:
                published = self.step()
                pause = 0.0 if published else LOOK_SECONDS
            except Unavailable as error:
                log.warning("changes wait in the outbox: %s", error)
                pause = min(max(pause, LOOK_SECONDS) * 2, LONGEST_PAUSE)
            except Exception:
                log.exception("changes can't be published")
                pause = LONGEST_PAUSE
            self._stopping.wait(pause)
