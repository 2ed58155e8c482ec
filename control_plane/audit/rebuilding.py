"""Making the audit's tables again from the topic, which the indexer then reads from its start."""

from collections.abc import Sequence
from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from control_plane.audit import checkpoint_store, rebuild_store, record_store, topic_store
from control_plane.audit.arrivals import AgentName, TopicRecord, read_arrival
from control_plane.audit.chains import TopicLog
from control_plane.audit.indexer import UsageTopic
from control_plane.audit.store import stored_events
from control_plane.database import Database, Transaction
from mesh.errors import ControlUnavailable, EvidenceInvalid
from mesh.evidence.codec import Recorded
from mesh.kafka.unpacking import bound_unpacking

POLL_MS = 1_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Whose logs are made again, and whose are only compared: the topic lacks some of them."""

    whole: tuple[AgentName, ...]
    compared: tuple[AgentName, ...]


def rebuild(source: UsageTopic, database: Database) -> Rebuilt:
    """Forget what the topic can give back, and let it be read from its start.

    An agent's log is forgotten only if the topic has every event of it that is stored, byte for
    byte, or records that a checkpoint of the agent proves in their place.

    Raises ControlUnavailable when the topic can't be read.
    """
    try:
        with database.reading() as tx:
            found = _compared(source, tx)
    except (KafkaError, OSError) as error:
        raise ControlUnavailable(
            f"the topic {source.topic} can't be read: {error}", server=""
        ) from error
    names = sorted(found, key=str)
    with database.writing() as tx:
        whole = [name for name in names if _has_all(tx, name, found[name])]
        for name in whole:
            rebuild_store.forget_log(tx, name)
        rebuild_store.forget_refused(tx, source.topic)
        topic_store.forget_positions(tx, source.topic)
    return Rebuilt(tuple(whole), tuple(name for name in names if name not in whole))


def _compared(source: UsageTopic, tx: Transaction) -> dict[AgentName, TopicLog]:
    """Compare the whole topic with what is stored; the agents of which something is stored."""
    bound_unpacking()
    consumer = KafkaConsumer(
        **source.settings.client_options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        bootstrap_timeout_ms=10_000,
    )
    found: dict[AgentName, TopicLog] = {}
    try:
        numbers = consumer.partitions_for_topic(source.topic) or set()
        partitions = [TopicPartition(source.topic, number) for number in numbers]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        while any(consumer.position(one) < end for one, end in ends.items()):
            for records in consumer.poll(timeout_ms=POLL_MS).values():
                _compare(tx, found, records)
    finally:
        consumer.close()
    for log in found.values():
        log.prove_rest()
    return found


def _compare(
    tx: Transaction, found: dict[AgentName, TopicLog], records: Sequence[ConsumerRecord]
) -> None:
    by_agent: dict[AgentName, list[Recorded]] = {}
    for one in records:
        record = TopicRecord(one.topic, one.partition, one.offset, one.key, one.headers, one.value)
        try:
            name, arrival = read_arrival(record)
        except EvidenceInvalid:
            continue  # It is refused, and noted, when it is read again.
        by_agent.setdefault(name, []).append(arrival.event)
    for name, events in by_agent.items():
        if name not in found:
            found[name] = TopicLog(checkpoint_store.signed_roots(tx, name.domain, name.agent))
        sequences = [one.event.sequence for one in events]
        stored = stored_events(tx, name.domain, name.agent, sequences)
        for one in events:
            sequence = one.event.sequence
            found[name].take(sequence, one.record, same=stored.get(sequence) == one.record)
        found[name].prove()


def _has_all(tx: Transaction, name: AgentName, log: TopicLog) -> bool:
    """Whether the topic has each event that is stored, or what the agent signed in its place."""
    after = max(log.run, log.proved)
    rest = record_store.sequences_after(tx, name.domain, name.agent, after)
    return all(log.has(sequence) for sequence in rest)
