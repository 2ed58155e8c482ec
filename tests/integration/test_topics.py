"""The control plane's side of Kafka, over a real broker that is killed, left and come back to."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from kafka import KafkaProducer
from sqlalchemy import Engine

from control_plane.agents import store as agents
from control_plane.audit import store, topic_store, tree_store
from control_plane.audit.arrivals import AgentName, TopicRecord
from control_plane.audit.indexer import Indexer, UsageTopic
from control_plane.audit.indexing import Indexing, Patience
from control_plane.audit.rebuilding import rebuild
from control_plane.audit.witnessing import witness
from control_plane.database import Database, Transaction, migrate, open_sqlite
from control_plane.outbox import store as outbox
from control_plane.outbox.relay import ChangesTopic, Relay
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change, Sight
from control_plane.vault.vault import Vault
from domain_agent.control.kafka import KafkaTransport
from examples.airline.broker import SASL_PASSWORD, SASL_USER, Broker, admin
from mesh.errors import EvidenceUnavailable
from mesh.evidence.canonical import canonical
from mesh.evidence.checkpoints import Checkpoint, sign_checkpoint
from mesh.evidence.cloudevents import KafkaRecord, record_to_kafka
from mesh.evidence.codec import Draft, Recorded, decode_event
from mesh.evidence.events import EventType, agent_source
from mesh.evidence.merkle import Frontier, leaf_hash
from mesh.kafka.settings import KafkaSettings
from tests.broker import Kept, deliver, fresh_topic, wait_until

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
FLEETS = [AgentName("fleet", f"fleet-{number}") for number in range(6)]
BOOKINGS = FLEETS[0]


def records(name: AgentName, first: int, last: int) -> list[bytes]:
    source = agent_source(name.domain, name.agent)

    def record(number: int) -> bytes:
        event_id = f"{name.agent}-{number}"
        data = canonical({"rows": number})
        return Draft(event_id, source, EventType.REFUSED, NOW, event_id, data).record(number)

    return [record(number) for number in range(first, last + 1)]


@dataclass
class Stage:
    """A broker with topics, and a database with enrolled agents."""

    broker: Broker
    topic: str
    engine: Engine
    group: str = "meshwarden"

    @property
    def settings(self) -> KafkaSettings:
        return KafkaSettings(brokers=(self.broker.address,))

    def database(self) -> Database:
        """As another replica has it."""
        return Database(self.engine, lambda _: None)

    def send(self, name: AgentName, first: int, last: int) -> None:
        transport = KafkaTransport(self.settings, self.topic, str(name), time.monotonic)
        deliver(transport, first, records(name, first, last))
        transport.close()

    @contextmanager
    def indexing(self, indexing: Indexing | None = None) -> Iterator[Indexer]:
        """An indexer that runs."""
        usage = UsageTopic(self.settings, self.topic, self.group)
        indexer = Indexer(usage, self.database(), indexing or plain(), lambda: datetime.now(UTC))
        indexer.start()
        try:
            yield indexer
        finally:
            indexer.stop()

    def sign(self, name: AgentName, size: int) -> None:
        """The agent's checkpoint of its log arrives."""
        key = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
        public = key.public_key().public_bytes_raw()
        root = Frontier().extend([leaf_hash(one) for one in records(name, 1, size)]).root
        checkpoint = Checkpoint(name.domain, name.agent, size, root, NOW)
        with self.database().writing() as tx:
            note = sign_checkpoint(checkpoint, public, key.sign)
            witness(tx, name.domain, name.agent, note, public, NOW)

    def stored(self, name: AgentName = BOOKINGS) -> list[bytes]:
        with self.database().reading() as tx:
            found = store.stored_events(tx, name.domain, name.agent, range(1, 3_000))
        return [found[sequence] for sequence in sorted(found)]

    def await_stored(self, name: AgentName, last: int) -> None:
        def there() -> bool:
            with self.database().reading() as tx:
                return store.stored_sequence(tx, name.domain, name.agent) >= last

        wait_until(there, f"{name} is stored up to {last}")
        assert self.stored(name) == records(name, 1, last)


def plain() -> Indexing:
    return Indexing(Vault(X25519PrivateKey.generate()), is_enrolled, Patience())


def is_enrolled(tx: Transaction, name: AgentName) -> bool:
    return agents.find(tx, name.domain, name.agent, NOW) is not None


@pytest.fixture
def stage(own_broker: Broker, tmp_path: Path) -> Iterator[Stage]:
    engine = new_database(tmp_path / "control.db")
    yield Stage(own_broker, fresh_topic(own_broker), engine, group=f"group-{tmp_path.name}")
    engine.dispose()


def new_database(path: Path) -> Engine:
    engine = open_sqlite(path)
    migrate(engine)
    with Database(engine, lambda _: None).writing() as tx:
        for name in FLEETS:
            agents.add(tx, name.domain, name.agent, name.agent.encode(), NOW)
    return engine


def test_events_are_indexed_across_a_broker_that_is_killed(stage: Stage) -> None:
    stage.send(BOOKINGS, 1, 50)
    with stage.indexing():
        stage.await_stored(BOOKINGS, 50)
        stage.broker.kill()
        stage.broker.start()
        stage.send(BOOKINGS, 40, 120)
        stage.await_stored(BOOKINGS, 120)


def test_an_indexer_starts_before_its_broker_and_goes_on_where_it_was(stage: Stage) -> None:
    stage.send(BOOKINGS, 1, 30)
    with stage.indexing():
        stage.await_stored(BOOKINGS, 30)
    stage.broker.kill()
    taken: list[int] = []

    class Counting(Indexing):
        def take(self, tx: Transaction, records: Sequence[TopicRecord], now: datetime) -> int:
            taken.extend(record.position for record in records)
            return super().take(tx, records, now)

    counting = Counting(Vault(X25519PrivateKey.generate()), is_enrolled, Patience())
    with stage.indexing(counting):
        stage.broker.start()
        stage.send(BOOKINGS, 31, 60)
        stage.await_stored(BOOKINGS, 60)
    assert taken == list(range(30, 60))


def test_replicas_share_the_reading_and_one_takes_over(stage: Stage) -> None:
    with stage.indexing():
        for name in FLEETS:
            stage.send(name, 1, 20)
        with stage.indexing():
            for name in FLEETS:
                stage.send(name, 21, 60)
                stage.await_stored(name, 60)
        for name in FLEETS:
            stage.send(name, 61, 80)
            stage.await_stored(name, 80)
    with stage.database().reading() as tx:
        assert topic_store.refused(tx) == []


def test_a_lost_database_is_made_anew_from_the_topic(stage: Stage, tmp_path: Path) -> None:
    for name in FLEETS:
        stage.send(name, 1, 40)
    with stage.indexing():
        for name in FLEETS:
            stage.await_stored(name, 40)
    stage.engine.dispose()
    stage.engine = new_database(tmp_path / "new.db")
    # The group's offsets in Kafka are at the end; the database says where reading goes on.
    with stage.indexing():
        for name in FLEETS:
            stage.await_stored(name, 40)


def test_the_audit_is_made_again_from_a_topic_that_has_it_all(stage: Stage) -> None:
    whole, partly, unsent = FLEETS[:3]
    for name in (whole, partly):
        stage.send(name, 1, 30)
    with stage.indexing():
        for name in (whole, partly):
            stage.await_stored(name, 30)
    stage.sign(whole, 30)
    with stage.database().writing() as tx:
        before = reads(tx)
        # Both databases are edited; of `partly` and `unsent` the topic lacks the end.
        tx.connection().exec_driver_sql("UPDATE usage_event SET document = x'00'")
        tx.connection().exec_driver_sql("UPDATE receipt SET state = 'completed'")
        for name, last in ((partly, 31), (unsent, 1)):
            events = [
                Recorded(decode_event(record), record) for record in records(name, last, last)
            ]
            store.add_events(tx, name.domain, name.agent, events, NOW)

    rebuilt = rebuild(UsageTopic(stage.settings, stage.topic, stage.group), stage.database())
    assert (rebuilt.whole, rebuilt.compared) == ((whole,), (partly,))
    assert stage.stored(unsent) == records(unsent, 1, 1)
    with stage.indexing():
        stage.await_stored(whole, 30)

        def compared() -> bool:
            with stage.database().reading() as tx:
                return len(topic_store.refused(tx)) == 30

        wait_until(compared, "the edits of what can't be made again are found")
    with stage.database().reading() as tx:
        assert {one for one in reads(tx) if one[0] == whole} == {
            one for one in before if one[0] == whole
        }


def produce(stage: Stage, *forged: KafkaRecord) -> None:
    """Write records into the topic as whoever may write there can."""
    producer = KafkaProducer(bootstrap_servers=stage.broker.address)
    for key, headers, value in forged:
        producer.send(stage.topic, value, key, headers)
    producer.flush()
    producer.close()


def test_a_batch_that_unpacks_to_much_is_left_out_alone(stage: Stage) -> None:
    stage.send(BOOKINGS, 1, 5)
    for codec, size in (("gzip", 64 << 20), ("lz4", 64 << 20)):
        bomb = KafkaProducer(
            bootstrap_servers=stage.broker.address, compression_type=codec, max_request_size=2**30
        )
        bomb.send(stage.topic, bytes(size), b"fleet/fleet-0", []).get(30)
        bomb.close()
    stage.send(BOOKINGS, 6, 9)
    with stage.indexing():
        stage.await_stored(BOOKINGS, 9)
    with stage.database().reading() as tx:
        problems = [one.problem for one in topic_store.refused(tx)]
    assert problems == [
        f"the batch of offsets {at} to {at} is left out: it unpacks to more than 8,388,608 bytes"
        for at in (5, 6)
    ]


def test_a_batch_that_brokers_compress_anew_is_noted_once(stage: Stage) -> None:
    stage.topic = fresh_topic(stage.broker, configs={"compression.type": "zstd"})
    producer = KafkaProducer(bootstrap_servers=stage.broker.address, linger_ms=200)
    for record in records(BOOKINGS, 1, 3):
        key, headers, value = record_to_kafka(record)
        producer.send(stage.topic, value, key, headers)
    producer.close()

    def noted() -> list[tuple[int, str]]:
        with stage.database().reading() as tx:
            return [(one.position, one.problem) for one in topic_store.refused(tx)]

    with stage.indexing():
        wait_until(noted, "the batch is noted")
    assert noted() == [
        (2, "the batch of offsets 0 to 2 is left out: codec 4 is none that agents use")
    ]
    assert stage.stored() == []


@pytest.mark.parametrize("meanwhile", ["reads on", "is stopped"])
def test_a_topic_that_is_made_anew_is_read_from_its_start(stage: Stage, meanwhile: str) -> None:
    stage.send(BOOKINGS, 1, 20)
    with contextlib.ExitStack() as running:
        running.enter_context(stage.indexing())
        stage.await_stored(BOOKINGS, 20)
        if meanwhile == "is stopped":
            running.close()
        make_anew(stage)
        stage.send(BOOKINGS, 19, 24)
        with stage.indexing() if meanwhile == "is stopped" else contextlib.nullcontext():
            stage.await_stored(BOOKINGS, 24)
    with stage.database().reading() as tx:
        told = timeline.arrived(tx, Sight(True, frozenset(), ""), 0, 100)
    changes = [one.action for one in told if one.kind == "change"]
    assert changes == ["evidence.topic_reset"]


def make_anew(stage: Stage) -> None:
    with admin(stage.broker.address) as client:
        client.delete_topics([stage.topic])
        wait_until(lambda: stage.topic not in client.list_topics(), "the topic is gone")
        client.create_topics(
            {stage.topic: {"num_partitions": 3, "replication_factor": 1}}, wait_for_metadata=True
        )


def test_a_topic_that_only_claims_to_have_a_log_costs_none_of_it(stage: Stage) -> None:
    stage.send(BOOKINGS, 1, 20)
    with stage.indexing():
        stage.await_stored(BOOKINGS, 20)
    stage.sign(BOOKINGS, 20)
    with stage.database().writing() as tx:
        before = reads(tx)
    usage = UsageTopic(stage.settings, fresh_topic(stage.broker), stage.group)
    stage.topic = usage.topic
    empty = [
        KafkaRecord(b"fleet/fleet-0", [("ce_sequence", b"%d" % number)], b"")
        for number in range(1, 21)
    ]
    others = [
        record_to_kafka(record.replace(b'"rows":', b'"forged":'))
        for record in records(BOOKINGS, 1, 20)
    ]
    produce(stage, *empty, *others)
    rebuilt = rebuild(usage, stage.database())
    assert (rebuilt.whole, rebuilt.compared) == ((), (BOOKINGS,))
    assert stage.stored() == records(BOOKINGS, 1, 20)
    with stage.database().writing() as tx:
        assert reads(tx) == before


def test_what_is_made_again_is_what_the_agent_signed(stage: Stage) -> None:
    stage.send(BOOKINGS, 1, 5)
    forged = [
        record_to_kafka(record.replace(b'"rows":', b'"forged":'))
        for record in records(BOOKINGS, 6, 8)
    ]
    produce(stage, *forged)
    stage.send(BOOKINGS, 6, 20)
    with stage.indexing():
        wait_until(lambda: len(stage.stored()) == 20, "all sequences are taken")
    assert stage.stored() != records(BOOKINGS, 1, 20)
    stage.sign(BOOKINGS, 20)
    rebuilt = rebuild(UsageTopic(stage.settings, stage.topic, stage.group), stage.database())
    assert rebuilt.whole == (BOOKINGS,)
    with stage.indexing():
        wait_until(lambda: stage.stored() == records(BOOKINGS, 1, 20), "the real ones are stored")
    with stage.database().reading() as tx:
        log = tree_store.find(tx, BOOKINGS.domain, BOOKINGS.agent)
    assert (log.size, log.verified_size, log.problem) == (20, 20, "")


def reads(tx: Transaction) -> set[tuple[AgentName, str, str]]:
    """Each receipt's agent, id and state, as the audit has it."""
    rows = tx.connection().exec_driver_sql("SELECT domain, agent, id, state FROM receipt")
    return {(AgentName(row[0], row[1]), row[2], row[3]) for row in rows}


def test_a_record_that_breaks_the_program_is_left_out_alone(stage: Stage) -> None:
    class Broken(Indexing):
        def take(self, tx: Transaction, records: Sequence[TopicRecord], now: datetime) -> int:
            stored = super().take(tx, records, now)
            if any(record.value == b'{"rows":17}' for record in records):
                raise ZeroDivisionError
            return stored

    patience = Patience(timedelta(seconds=0), 100)
    broken = Broken(Vault(X25519PrivateKey.generate()), is_enrolled, patience)
    stage.send(BOOKINGS, 1, 40)
    stage.sign(BOOKINGS, 40)
    with stage.indexing(broken):
        wait_until(lambda: len(stage.stored()) == 39, "all but one are stored")
    assert stage.stored() == [*records(BOOKINGS, 1, 16), *records(BOOKINGS, 18, 40)]
    with stage.database().reading() as tx:
        assert [(one.position, one.problem) for one in topic_store.refused(tx)] == [
            (16, "it can't be stored; the log says why")
        ]


def change(database: Database, number: int) -> None:
    with database.writing() as tx:
        told = Change("purpose.added", "user:ana", NOW, f"p-{number}", "words about ana")
        timeline.record_change(tx, told)


def relay(stage: Stage, replica: str, clock: Callable[[], datetime] = lambda: NOW) -> Relay:
    topic = ChangesTopic(stage.settings, stage.topic, replica)
    return Relay(stage.database(), topic, replica, clock)


def published(stage: Stage) -> list[tuple[bytes, bytes]]:
    """Id and value of each record, in order."""
    with Kept(stage.broker.address, stage.topic) as kept:
        return [(dict(one.headers)["ce_id"], one.value) for one in kept.everything()]


def test_changes_are_published_in_order_across_absences_and_replicas(stage: Stage) -> None:
    start = threading.Event()
    both = [relay(stage, name, lambda: datetime.now(UTC)) for name in ("one", "two")]

    def write() -> None:
        start.wait()
        for number in range(1, 121):
            change(stage.database(), number)

    writer = threading.Thread(target=write)
    writer.start()
    for one in both:
        one.start()
    start.set()
    stage.broker.kill()
    writer.join()
    stage.broker.start()

    def all_are_published() -> bool:
        with stage.database().reading() as tx:
            return outbox.outbox(tx).published == 120

    wait_until(all_are_published, "all changes are published")
    for one in both:
        one.stop()
    found = published(stage)
    assert list(dict(found)) == [f"change-{number}".encode() for number in range(1, 121)]
    assert len(set(found)) == 120
    assert not any(b"ana" in value for _, value in found)


def test_a_crash_between_publishing_and_noting_it_repeats_equal_records(stage: Stage) -> None:
    for number in (1, 2):
        change(stage.database(), number)

    class Crashing(ChangesTopic):
        def publish(self, records: Sequence[object]) -> None:
            super().publish(records)  # type: ignore[arg-type]
            self.close()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Relay(
            stage.database(), Crashing(stage.settings, stage.topic, "one"), "one", lambda: NOW
        ).step()
    topic = ChangesTopic(stage.settings, stage.topic, "two")
    assert Relay(stage.database(), topic, "two", lambda: NOW).step() == 0
    later = Relay(stage.database(), topic, "two", lambda: NOW + timedelta(seconds=30))
    assert [later.step(), later.step()] == [2, 0]
    topic.close()
    found = published(stage)
    assert [name for name, _ in found] == [b"change-1", b"change-2"] * 2
    assert found[:2] == found[2:]


def test_who_connects_can_be_asked_to_say_who_it_is(
    stage: Stage, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "password").write_text(SASL_PASSWORD)
    (tmp_path / "wrong").write_text("guessed")

    def settings(password: str) -> KafkaSettings:
        return KafkaSettings(
            brokers=(stage.broker.sasl_address,),
            security_protocol="SASL_PLAINTEXT",
            sasl_mechanism="PLAIN",
            sasl_plain_username=SASL_USER,
            sasl_plain_password_file=tmp_path / password,
        )

    right = KafkaTransport(settings("password"), stage.topic, "right", time.monotonic)
    deliver(right, 1, records(BOOKINGS, 1, 5))
    right.close()
    wrong = KafkaTransport(settings("wrong"), stage.topic, "wrong", time.monotonic)
    with pytest.raises(EvidenceUnavailable, match="does not take events"):
        wrong.send(6, records(BOOKINGS, 6, 6))
    assert "guessed" not in caplog.text
