"""What came of an agent's log in a topic and in a database, held against the log's own root."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from kafka import KafkaConsumer, TopicPartition
from sqlalchemy import Engine

from mesh.evidence.cloudevents import decode_kafka
from mesh.evidence.merkle import Frontier, leaf_hash

_STORED = "SELECT sequence, document FROM usage_event WHERE domain = '{}' AND agent = '{}'"


@dataclass(slots=True)
class Arrived:
    """Records of one log, in the order in which they lie there."""

    repeated: int = 0
    frontier: Frontier = field(default_factory=Frontier)
    _leaves: list[bytes] = field(default_factory=list)

    def take(self, records: Iterable[tuple[int, bytes]], where: str) -> None:
        """The next ones. Raises AssertionError where one is missing, or another than before."""
        new: list[bytes] = []
        for sequence, record in records:
            leaf, known = leaf_hash(record), len(self._leaves)
            if sequence <= known:
                assert self._leaves[sequence - 1] == leaf, f"{where}: two records {sequence}"
                self.repeated += 1
                continue
            assert sequence == known + 1, f"{where}: {sequence} follows {known}"
            self._leaves.append(leaf)
            new.append(leaf)
        self.frontier = self.frontier.extend(new)

    def check(self, size: int, root: str, where: str) -> None:
        """All of the log must be there, each record as it was written. Raises AssertionError."""
        assert self.frontier.size == size, f"{where}: {self.frontier.size} of {size}"
        assert self.frontier.root.hex() == root, f"{where}: the records are not those of the log"


def in_topic(address: str, topic: str) -> Arrived:
    """What a topic has, read from its start to where it ends now."""
    consumer = KafkaConsumer(
        bootstrap_servers=address, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    found = Arrived()
    try:
        numbers = consumer.partitions_for_topic(topic) or set()
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(one) < end for one, end in ends.items()):
            for records in consumer.poll(timeout_ms=200).values():
                events = (decode_kafka(r.key, r.headers, r.value) for r in records)
                found.take(((one.event.sequence, one.record) for one in events), "the topic")
    finally:
        consumer.close()
    return found


def in_database(engine: Engine, domain: str, agent: str) -> Arrived:
    """What a control plane has stored of an agent, with nothing of it twice."""
    found = Arrived()
    with engine.connect().execution_options(yield_per=2_000) as connection:
        rows = connection.exec_driver_sql(f"{_STORED.format(domain, agent)} ORDER BY sequence")
        for part in rows.partitions():
            found.take(((row[0], bytes(row[1])) for row in part), "the database")
    assert found.repeated == 0
    return found


def reads_indexed(engine: Engine, domain: str, agent: str) -> dict[str, int]:
    """How many receipts are in each state."""
    query = (
        f"SELECT state, count(*) FROM receipt WHERE domain = '{domain}' AND agent = '{agent}'"
        " GROUP BY state"
    )
    with engine.connect() as connection:
        return {row[0]: row[1] for row in connection.exec_driver_sql(query)}


def alarms(engine: Engine) -> list[str]:
    """What the timeline says is wrong with evidence."""
    query = "SELECT action, summary FROM entry WHERE kind = 'change'"
    with engine.connect() as connection:
        rows = connection.exec_driver_sql(query).all()
    return [f"{row[0]}: {row[1]}" for row in rows if row[0].startswith("evidence.")]
