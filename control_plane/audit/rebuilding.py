"""Making the audit's tables again from the topic, which the indexer then reads from its start."""

from dataclasses import dataclass

from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from control_plane.audit import rebuild_store, topic_store
from control_plane.audit.arrivals import AgentName
from control_plane.audit.indexer import UsageTopic
from control_plane.audit.store import stored_sequence
from control_plane.database import Database
from mesh.errors import ControlUnavailable

POLL_MS = 1_000


@dataclass(frozen=True, slots=True)
class Rebuilt:
    """Whose logs are made again, and whose are only compared: the topic lacks some of them."""

    whole: tuple[AgentName, ...]
    compared: tuple[AgentName, ...]


def rebuild(source: UsageTopic, database: Database) -> Rebuilt:
    """Forget what the topic can give back, and let it be read from its start.

    Raises ControlUnavailable when the topic can't be read.
    """
    try:
        runs = runs_from_start(source)
    except (KafkaError, OSError) as error:
        raise ControlUnavailable(
            f"the topic {source.topic} can't be read: {error}", server=""
        ) from error
    names = sorted(runs, key=str)
    with database.writing() as tx:
        whole = [
            name for name in names if runs[name] >= stored_sequence(tx, name.domain, name.agent)
        ]
        for name in whole:
            rebuild_store.forget_log(tx, name)
        rebuild_store.forget_refused(tx, source.topic)
        topic_store.forget_positions(tx, source.topic)
    return Rebuilt(tuple(whole), tuple(name for name in names if name not in whole))


def runs_from_start(source: UsageTopic) -> dict[AgentName, int]:
    """Up to which sequence the topic has each agent's log without a gap; 0 without its first."""
    consumer = KafkaConsumer(
        **source.settings.client_options(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        bootstrap_timeout_ms=10_000,
    )
    try:
        numbers = consumer.partitions_for_topic(source.topic) or set()
        partitions = [TopicPartition(source.topic, number) for number in numbers]
        consumer.assign(partitions)
        ends = consumer.end_offsets(partitions)
        found: dict[AgentName, int] = {}
        while any(consumer.position(one) < end for one, end in ends.items()):
            for records in consumer.poll(timeout_ms=POLL_MS).values():
                for record in records:
                    _note(found, record.key, dict(record.headers).get("ce_sequence"))
        return found
    finally:
        consumer.close()


def _note(found: dict[AgentName, int], key: bytes | None, sequence: bytes | None) -> None:
    """What makes no sense here is refused when it is read again."""
    domain, _, agent = (key or b"").decode(errors="replace").partition("/")
    if domain and agent and sequence is not None:
        name = AgentName(domain, agent)
        run = found.setdefault(name, 0)
        if sequence == str(run + 1).encode():
            found[name] = run + 1
