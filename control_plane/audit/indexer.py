"""Reads usage events from their topic into the audit, one transaction for what one poll brings."""

import logging
import threading
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata

from control_plane.audit import topic_store
from control_plane.audit.arrivals import AgentName, TopicRecord
from control_plane.audit.indexing import Indexing
from control_plane.database import Database, Transaction
from mesh.errors import ControlUnavailable, Unavailable
from mesh.kafka.settings import KafkaSettings
from mesh.kafka.unpacking import bound_unpacking

log = logging.getLogger(__name__)

POLL_MS = 500
MOST_RECORDS = 2_000
LONGEST_PAUSE = 5.0
_OPTIONS: dict[str, object] = {
    "enable_auto_commit": False,
    "auto_offset_reset": "earliest",
    "max_poll_records": MOST_RECORDS,
    "max_partition_fetch_bytes": 4 * 1024 * 1024,
    "bootstrap_timeout_ms": 8_000,
    "request_timeout_ms": 15_000,
    "reconnect_backoff_max_ms": 2_000,
    # A replica that died leaves its partitions to the others after so long.
    "session_timeout_ms": 10_000,
    "heartbeat_interval_ms": 2_000,
    "metrics_enabled": False,
}


@dataclass(frozen=True, slots=True)
class UsageTopic:
    """Where the events are, and the group whose members share the reading."""

    settings: KafkaSettings
    topic: str
    group: str


class PositionMoved(ControlUnavailable):
    """Another replica has read on from here; what it stored is not to be stored again."""


class Indexer:
    """One thread. Where reading stands is stored with what was read, so both are or neither is.

    The group's offsets in Kafka are committed after that, for operators to see the lag by.
    """

    def __init__(
        self,
        source: UsageTopic,
        database: Database,
        indexing: Indexing,
        clock: Callable[[], datetime],
    ) -> None:
        self._source, self._database, self._indexing = source, database, indexing
        self._clock = clock
        self._next: dict[int, int | None] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="indexing", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the transaction under way."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        pause = 0.2
        while not self._stopping.is_set():
            try:
                consumer = self.connect()
                try:
                    while not self._stopping.is_set():
                        self.step(consumer)
                        pause = 0.2
                finally:
                    self._next.clear()
                    consumer.close(autocommit=False, timeout_ms=2_000)
            except (KafkaError, Unavailable, OSError) as error:
                log.warning("usage events wait in the topic: %s", error)
            except Exception:
                log.exception("usage events can't be indexed")
            self._stopping.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    def step(self, consumer: KafkaConsumer) -> int:
        """Store what one poll brings; how many records that were."""
        polled: dict[TopicPartition, list[ConsumerRecord]] = consumer.poll(timeout_ms=POLL_MS)
        records = self._in_place(consumer, polled)
        if records:
            self._store(records)
            self._commit(consumer)
        with self._database.reading() as tx:
            overdue = self._indexing.overdue(tx, self._clock())
            disputed = self._indexing.disputed(tx, self._clock())
        for name in overdue:
            self._apart(name, self._indexing.skip_missing)
        for name in disputed:
            self._apart(name, self._indexing.settle)
        return len(records)

    def _apart(
        self, name: AgentName, mend: Callable[[Transaction, AgentName, datetime], object]
    ) -> None:
        """Do something about one agent's log; that it can't be done stops no other's."""
        try:
            with self._database.writing() as tx:
                mend(tx, name, self._clock())
        except Unavailable:
            raise
        except Exception:
            log.exception("the log of %s can't be gone on with", name)

    def connect(self) -> KafkaConsumer:
        """A member of the group. Raises KafkaError when no broker answers."""
        bound_unpacking()
        source = self._source
        consumer = KafkaConsumer(
            **_OPTIONS, **source.settings.client_options(), group_id=source.group
        )
        consumer.subscribe([source.topic])
        return consumer

    def _in_place(
        self, consumer: KafkaConsumer, polled: dict[TopicPartition, list[ConsumerRecord]]
    ) -> list[TopicRecord]:
        """The records from where the database says that reading goes on."""
        assigned = {one.partition for one in consumer.assignment()}
        self._next = {number: at for number, at in self._next.items() if number in assigned}
        new = assigned - self._next.keys()
        # Kafka leads back to the start whoever asks for what a partition does not have.
        back = {
            partition.partition
            for partition, found in polled.items()
            if found and found[0].offset < (self._next.get(partition.partition) or 0)
        }
        if new or back:
            self._place(consumer, new | back)
        return [
            TopicRecord(r.topic, r.partition, r.offset, r.key, r.headers, r.value)
            for partition, found in polled.items()
            if partition.partition not in new | back
            for r in found
        ]

    def _place(self, consumer: KafkaConsumer, numbers: Collection[int]) -> None:
        """Read partitions on from where the database says; from the start where that is gone."""
        topic = self._source.topic
        partitions = {number: TopicPartition(topic, number) for number in numbers}
        ends = consumer.end_offsets(list(partitions.values()))
        with self._database.reading() as tx:
            known = topic_store.positions(tx, topic)
        for number, partition in partitions.items():
            end, stored = ends[partition], known.get(number)
            if stored is not None and end < stored:
                self._begin_again(number, stored, end)
                stored = 0
            self._next[number] = stored
            consumer.seek(partition, stored or 0)

    def _begin_again(self, number: int, stored: int, end: int) -> None:
        with self._database.writing() as tx:
            self._advance(tx, number, stored, 0)
            place = f"{self._source.topic}/{number}"
            self._indexing.begin_again(tx, place, stored, end, self._clock())

    def _store(self, records: Sequence[TopicRecord]) -> None:
        """Store them all; what can't be, for a reason that no one foresaw, is left out alone."""
        try:
            moved = self._transact(records, self._take)
        except Unavailable:
            raise
        except Exception:
            if len(records) > 1:
                half = len(records) // 2
                self._store(records[:half])
                self._store(records[half:])
                return
            log.exception("a record can't be stored; it is left out")
            moved = self._transact(records, self._leave_out)
        self._next.update(moved)

    def _transact(
        self,
        records: Sequence[TopicRecord],
        take: Callable[[Transaction, Sequence[TopicRecord]], None],
    ) -> dict[int, int]:
        """Take records and move on in one transaction; where reading stands then."""
        moved = {record.partition: record.position + 1 for record in records}
        with self._database.writing() as tx:
            for number, to in moved.items():
                self._advance(tx, number, self._next[number], to)
            take(tx, records)
        return moved

    def _advance(self, tx: Transaction, number: int, before: int | None, to: int) -> None:
        topic = self._source.topic
        if not topic_store.advance(tx, topic, number, before, to):
            raise PositionMoved(f"another replica reads partition {number} of {topic}", server="")

    def _take(self, tx: Transaction, records: Sequence[TopicRecord]) -> None:
        self._indexing.take(tx, records, self._clock())

    def _leave_out(self, tx: Transaction, records: Sequence[TopicRecord]) -> None:
        for record in records:
            self._indexing.refuse(tx, record, "it can't be stored; the log says why", self._clock())

    def _commit(self, consumer: KafkaConsumer) -> None:
        consumer.commit_async(
            {
                TopicPartition(self._source.topic, number): OffsetAndMetadata(at, "", -1)
                for number, at in self._next.items()
                if at is not None
            }
        )
