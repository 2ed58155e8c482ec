"""What the audit makes of a topic, whatever a topic does and whichever database is below."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from sqlalchemy import Engine
from sqlmodel import select

from control_plane.audit import disputing, store, topic_store, tree_store
from control_plane.audit.arrivals import AgentName, Gap, TopicRecord
from control_plane.audit.indexing import Indexing, Patience
from control_plane.audit.store import UsageEventRow
from control_plane.audit.witnessing import witness
from control_plane.database import Database, Transaction, migrate, open_sqlite
from control_plane.outbox import store as outbox
from control_plane.outbox.rules import to_kafka
from control_plane.postgres import open_postgres
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change, Sight, Wanted
from control_plane.vault.vault import Vault
from mesh.evidence.checkpoints import Checkpoint, sign_checkpoint
from mesh.evidence.cloudevents import USAGE_TOPIC, encode_kafka
from mesh.evidence.codec import Recorded, encode_event
from mesh.evidence.events import EventType, UsageEvent, agent_source
from mesh.evidence.merkle import Frontier, leaf_hash

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BOOKINGS, FLEET = AgentName("bookings", "bookings-1"), AgentName("fleet", "fleet-1")
PATIENCE = Patience(timedelta(seconds=60), 20, reach=1_000)
KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC_KEY = KEY.public_key().public_bytes_raw()
ALL = Sight(everything=True, domains=frozenset(), actor="")


def event(sequence: int, name: AgentName = BOOKINGS, **data: object) -> UsageEvent:
    """Odd ones start a read, even ones complete it."""
    receipt = f"{name.agent}-{(sequence + 1) // 2}"
    odd = sequence % 2 == 1
    return UsageEvent(
        id=receipt if odd else f"{receipt}-end",
        source=agent_source(name.domain, name.agent),
        type=EventType.STARTED if odd else EventType.COMPLETED,
        time=NOW + timedelta(seconds=sequence % 10_000),
        sequence=sequence,
        receipt=receipt,
        data={"rows": sequence, **data},
    )


def record(event: UsageEvent, position: int = 0) -> TopicRecord:
    key, headers, value = encode_kafka(event)
    return TopicRecord(USAGE_TOPIC, 0, position, key, headers, value)


def records(*sequences: int, name: AgentName = BOOKINGS) -> list[TopicRecord]:
    return [record(event(sequence, name), 100 + sequence) for sequence in sequences]


def signed(*sequences: int, name: AgentName = BOOKINGS) -> str:
    """The agent's checkpoint of the log that has these events."""
    leaves = [leaf_hash(encode_event(event(sequence, name))) for sequence in sequences]
    root = Frontier().extend(leaves).root
    checkpoint = Checkpoint(name.domain, name.agent, len(leaves), root, NOW)
    return sign_checkpoint(checkpoint, PUBLIC_KEY, KEY.sign)


def forged(sequence: int, position: int = 0, **data: object) -> TopicRecord:
    """What somebody else wrote into the topic: another event, another receipt."""
    made = event(sequence, BOOKINGS, **{"forged": True, **data})
    named = f"forged-{sequence}-{position}"
    return record(replace(made, id=named, receipt=named), 500 + sequence + position)


class IndexingContract:
    """The promises; a subclass says how a database is made."""

    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        """An engine on an empty database."""
        raise NotImplementedError

    @pytest.fixture
    def database(self, engine: Engine) -> Database:
        migrate(engine)
        return Database(engine, lambda _: None)

    @pytest.fixture
    def indexing(self) -> Indexing:
        return Indexing(
            Vault(X25519PrivateKey.generate()), lambda _, name: name in (BOOKINGS, FLEET), PATIENCE
        )

    def witness(self, database: Database, last: int) -> None:
        """The agent signs its log up to an event."""
        with database.writing() as tx:
            note = signed(*range(1, last + 1))
            witness(tx, BOOKINGS.domain, BOOKINGS.agent, note, PUBLIC_KEY, NOW)

    def take(
        self, database: Database, indexing: Indexing, *taken: TopicRecord, at: datetime = NOW
    ) -> int:
        with database.writing() as tx:
            return indexing.take(tx, taken, at)

    def append(self, database: Database, *sequences: int) -> None:
        """Store events as an agent does that sends them itself."""
        taken = [Recorded(event(number), encode_event(event(number))) for number in sequences]
        with database.writing() as tx:
            store.add_events(tx, BOOKINGS.domain, BOOKINGS.agent, taken, NOW)

    def test_events_are_stored_once_byte_for_byte(
        self, database: Database, indexing: Indexing
    ) -> None:
        assert self.take(database, indexing, *records(1, 2, 3)) == 3
        assert self.take(database, indexing, *records(2, 3, 4, 4, 1)) == 1
        assert stored(database) == [1, 2, 3, 4]
        assert refusals(database) == []

    def test_agents_do_not_wait_for_each_other(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.take(database, indexing, *records(2, 3), *records(1, 2, name=FLEET))
        assert stored(database) == []
        assert stored(database, FLEET) == [1, 2]

    @pytest.mark.parametrize("seed", range(12))
    def test_any_order_and_any_repetition_end_as_the_log_was(
        self, database: Database, indexing: Indexing, seed: int
    ) -> None:
        chance = random.Random(seed)  # noqa: S311 - so that it can be repeated
        arriving = [*records(*range(1, 31)), *records(*chance.choices(range(1, 31), k=20))]
        # Disorder within what patience allows.
        arriving.sort(key=lambda one: one.position + chance.uniform(0, 12))
        while arriving:
            size = chance.randint(1, 9)
            self.take(database, indexing, *arriving[:size])
            with database.reading() as tx:
                assert indexing.overdue(tx, NOW) == []
            del arriving[:size]
        assert stored(database) == list(range(1, 31))
        assert refusals(database) == []
        with database.reading() as tx:
            assert list(topic_store.held(tx, BOOKINGS)) == []
            assert {one.action for one in timeline.newest(tx, ALL, Wanted(), None, 100)} == {
                "read.completed"
            }

    def test_missing_events_are_waited_for_and_then_told(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.take(database, indexing, *records(1, 2, 6, 7))
        self.witness(database, 7)
        assert self.skip(database, indexing, NOW + timedelta(seconds=59)) == []
        assert stored(database) == [1, 2]
        assert self.skip(database, indexing, NOW + timedelta(seconds=60)) == [Gap(3, 5)]
        assert stored(database) == [1, 2, 6, 7]
        self.take(database, indexing, *records(8))
        assert stored(database) == [1, 2, 6, 7, 8]
        assert any("3 to 5 of bookings/bookings-1 never came" in one for one in told(database))

    def test_no_more_is_kept_than_patience_allows(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.witness(database, 30)
        self.take(database, indexing, *records(*range(2, 22)))
        assert self.skip(database, indexing, NOW) == []
        self.take(database, indexing, *records(22))
        assert self.skip(database, indexing, NOW) == [Gap(1, 1)]
        assert stored(database) == list(range(2, 23))

    def test_several_gaps_are_skipped_one_after_another(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.witness(database, 9)
        self.take(database, indexing, *records(1, 3, 4, 9))
        late = NOW + timedelta(seconds=60)
        assert self.skip(database, indexing, late) == [Gap(2, 2)]
        assert self.skip(database, indexing, late) == [Gap(5, 8)]
        assert stored(database) == [1, 3, 4, 9]
        with database.reading() as tx:
            assert topic_store.gaps(tx, BOOKINGS) == [Gap(2, 2), Gap(5, 8)]

    def test_what_was_missing_is_stored_when_it_comes_after_all(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.witness(database, 4)
        self.take(database, indexing, *records(1, 4))
        self.skip(database, indexing, NOW + timedelta(seconds=60))
        assert self.take(database, indexing, *records(3, 2, 3, 4)) == 2
        assert stored(database) == [1, 2, 3, 4]
        late = "2 events of bookings/bookings-1 that were missing came late"
        assert any(late in one for one in told(database))

    def test_no_event_was_stored_before_the_one_that_precedes_it(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.witness(database, 12)
        self.take(database, indexing, *records(1, 2, 3, 4, 11, 12))
        self.skip(database, indexing, NOW + timedelta(seconds=60))
        for hours, late in enumerate(((7,), (5, 6), (10,), (8, 9)), 1):
            self.take(database, indexing, *records(*late), at=NOW + timedelta(hours=hours))
        with database.reading() as tx:
            times = [row.stored for row in sorted(tx.exec(select(UsageEventRow)), key=_sequence_of)]
        assert len(times) == 12
        assert times == sorted(times)

    def test_what_was_held_and_came_on_another_way_makes_no_gap(
        self, database: Database, indexing: Indexing
    ) -> None:
        late = NOW + timedelta(seconds=60)
        self.witness(database, 12)
        self.take(database, indexing, *records(1, 3, 4, 8))
        self.append(database, 2)
        assert not any(self.skip(database, indexing, late))
        assert stored(database) == [1, 2, 3, 4]
        self.append(database, 5, 6, 7, 8, 9)
        assert not any(self.skip(database, indexing, late))
        assert stored(database) == list(range(1, 10))
        with database.reading() as tx:
            assert list(topic_store.held(tx, BOOKINGS)) == []

    def test_another_event_under_a_known_sequence_is_a_fork_that_is_told(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.take(database, indexing, *records(1, 2, 4))
        others = [record(event(number, rows=999), 7 + number) for number in (2, 4)]
        twins = [record(event(3), 20), record(event(3, rows=999), 21)]
        assert self.take(database, indexing, *others, *twins, *records(5)) == 3
        assert stored(database) == [1, 2, 3, 4, 5]
        assert [position for position, _ in refusals(database)] == [9, 11, 21]
        assert all("forked or edited" in problem for _, problem in refusals(database))

    def test_an_id_stands_for_one_event(self, database: Database, indexing: Indexing) -> None:
        def named(sequence: int, twin: UsageEvent) -> TopicRecord:
            made = event(sequence)
            return record(
                UsageEvent(
                    twin.id, made.source, made.type, made.time, sequence, made.receipt, made.data
                ),
                sequence,
            )

        self.witness(database, 6)
        self.take(database, indexing, *records(1, 6))
        self.take(database, indexing, named(2, event(1)), named(3, event(6)), *records(4))
        assert stored(database) == [1]
        assert [position for position, _ in refusals(database)] == [2, 3]
        self.skip(database, indexing, NOW + timedelta(seconds=60))
        assert stored(database) == [1, 4]

    def test_records_that_no_agent_writes_are_noted_and_block_nothing(
        self, database: Database, indexing: Indexing
    ) -> None:
        good = record(event(1))
        bad = [
            TopicRecord(USAGE_TOPIC, 2, 5, good.key, [], b"{}"),
            TopicRecord(USAGE_TOPIC, 2, 6, None, good.headers, good.value),
            TopicRecord(USAGE_TOPIC, 2, 7, b"\xff\x00key", good.headers, None),
            record(event(1, AgentName("bookings", "stranger")), 8),
            record(event(1, AgentName("Nobody", "x")), 9),
        ]
        assert self.take(database, indexing, *bad, good) == 1
        assert stored(database) == [1]
        problems = dict(refusals(database))
        assert "has no header" in problems[5]
        assert "key is not the agent" in problems[6]
        assert problems[8] == "no agent bookings/stranger is enrolled"
        assert "names no agent" in problems[9]
        assert told(database) == [
            f"5 records were not taken, the first of {USAGE_TOPIC} at 2/5: {problems[5]}"
        ]

    def test_an_event_from_far_ahead_hides_no_event_that_follows(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.take(database, indexing, *records(1, 2))
        self.take(database, indexing, forged(10**15), forged(1_003), forged(1_002))
        late = NOW + timedelta(days=1)
        assert self.skip(database, indexing, late) == []
        assert self.take(database, indexing, *records(3, 4)) == 2
        assert stored(database) == [1, 2, 3, 4]
        assert sorted(position for position, _ in refusals(database)) == [1_503, 10**15 + 500]
        assert all("beyond what the agent can have" in one for _, one in refusals(database))
        self.witness(database, 4)
        assert self.skip(database, indexing, late) == []
        assert tree(database) == (4, 4, "")

    def test_what_the_agent_signed_says_how_far_its_log_can_be(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.take(database, indexing, *records(1_500))
        assert len(refusals(database)) == 1
        self.witness(database, 1_400)
        self.take(database, indexing, *records(1_500))
        with database.reading() as tx:
            assert [sequence for sequence, _ in topic_store.held(tx, BOOKINGS)] == [1_500]

    def test_what_no_checkpoint_covers_is_kept_up_to_a_bound(
        self, database: Database, indexing: Indexing
    ) -> None:
        for first in (3, 43, 83):
            self.take(database, indexing, *(forged(n) for n in range(first, first + 40)))
        with database.reading() as tx:
            assert len(list(topic_store.held(tx, BOOKINGS))) == 80
        assert all("too many are kept" in problem for _, problem in refusals(database))
        self.take(database, indexing, *records(1))
        assert stored(database) == [1]

    def test_late_events_are_found_as_if_they_had_come_in_time(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.witness(database, 8)
        self.take(database, indexing, *records(1, 2, 4, 7, 8))
        late = NOW + timedelta(seconds=60)
        assert self.skip(database, indexing, late) == [Gap(3, 3)]
        assert self.skip(database, indexing, late) == [Gap(5, 6)]
        assert tree(database)[0] == 2
        assert self.take(database, indexing, *records(6)) == 1
        assert self.take(database, indexing, *records(3, 5, 6, 5)) == 2
        assert tree(database) == (8, 8, "")
        assert found(database) == {f"bookings-1-{n}": "completed" for n in range(1, 5)}
        with database.reading() as tx:
            reads = timeline.newest(tx, ALL, Wanted(kind="read"), None, 100)
            assert topic_store.gaps(tx, BOOKINGS) == [Gap(3, 3), Gap(5, 6)]
        assert {(one.reference, one.action) for one in reads} == {
            (f"bookings-1-{n}", "read.completed") for n in range(1, 5)
        }

    def test_what_waited_for_late_events_is_in_the_window_in_which_it_was_stored(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.witness(database, 600)
        self.take(database, indexing, *records(*range(1, 250), *range(251, 601)))
        skipped = NOW + timedelta(seconds=60)
        assert self.skip(database, indexing, skipped) == [Gap(250, 250)]
        late = NOW + timedelta(hours=1)
        assert self.take(database, indexing, *records(250), at=late) == 1
        assert tree(database) == (600, 600, "")
        with database.reading() as tx:
            named = (BOOKINGS.domain, BOOKINGS.agent)
            assert tree_store.window(tx, *named, None, NOW + timedelta(minutes=30)) == (0, 2)
            assert tree_store.window(tx, *named, late, None) == (0, 2)

    @pytest.mark.parametrize("levels", [33, 200, 983, 5_000])
    def test_a_record_that_nests_deep_is_left_out_alone(
        self, database: Database, indexing: Indexing, levels: int
    ) -> None:
        deep = replace(forged(5), value=b'{"a":' * levels + b"1" + b"}" * levels)
        assert self.take(database, indexing, *records(1), deep, *records(2, 3)) == 3
        assert self.take(database, indexing, *records(4, 5)) == 2
        assert stored(database) == [1, 2, 3, 4, 5]
        assert [position for position, _ in refusals(database)] == [505]

    def test_forged_records_make_room_for_those_that_the_agent_signed(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.take(database, indexing, *records(1, 2))
        self.take(database, indexing, *(forged(n, rows=n) for n in (3, 4, 5)))
        self.take(database, indexing, *records(3, 4, 5, 6, 7))
        self.take(database, indexing, forged(6, 50), forged(3, 70))
        self.witness(database, 7)
        assert tree(database)[1] == 0
        assert "signed for 7 records that are not" in tree(database)[2]
        self.settle(database, indexing)
        assert stored(database) == [1, 2, 3, 4, 5, 6, 7]
        assert tree(database) == (7, 7, "")
        wanted = {f"bookings-1-{n}": "completed" for n in range(1, 4)}
        assert found(database) == {**wanted, "bookings-1-4": "started"}
        with database.reading() as tx:
            reads = timeline.newest(tx, ALL, Wanted(kind="read"), None, 100)
            assert tree_store.find(tx, "bookings", "bookings-1").unfinished == 1
            rows = tx.connection().exec_driver_sql(
                "SELECT sequence, displaced FROM candidate_record"
            )
            assert sorted((row[0], bool(row[1])) for row in rows) == [(n, True) for n in (3, 4, 5)]
        assert {one.reference for one in reads} == set(found(database))
        assert told(database)[0].startswith(
            "events 3, 4, 5 of bookings/bookings-1 were forged: its checkpoint of 7 events"
        )
        assert self.take(database, indexing, *records(8, 7)) == 1
        self.witness(database, 8)
        assert tree(database) == (8, 8, "")

    def test_an_end_that_was_forged_for_a_real_read_is_taken_back(
        self, database: Database, indexing: Indexing
    ) -> None:
        wrong = replace(event(2, rows=99), type=EventType.ABORTED)
        self.take(database, indexing, *records(1), record(wrong, 3), *records(2, 3))
        self.witness(database, 1)
        assert found(database)["bookings-1-1"] == "aborted"
        self.settle(database, indexing)
        assert found(database)["bookings-1-1"] == "aborted"
        self.witness(database, 3)
        self.settle(database, indexing)
        assert found(database) == {"bookings-1-1": "completed", "bookings-1-2": "started"}
        assert tree(database) == (3, 3, "")

    def test_an_agent_that_signs_two_logs_changes_nothing(
        self, database: Database, indexing: Indexing
    ) -> None:
        other = event(2, rows=99)
        self.take(database, indexing, *records(1, 2), record(other, 9))
        leaves = [leaf_hash(encode_event(one)) for one in (event(1), other)]
        root = Frontier().extend(leaves).root
        checkpoint = Checkpoint("bookings", "bookings-1", 2, root, NOW)
        with database.writing() as tx:
            note = sign_checkpoint(checkpoint, PUBLIC_KEY, KEY.sign)
            witness(tx, "bookings", "bookings-1", note, PUBLIC_KEY, NOW)
        self.witness(database, 2)
        self.settle(database, indexing)
        assert stored(database) == [1, 2]
        assert "signed" in tree(database)[2]

    def test_what_is_refused_beside_what_is_stored_is_bounded(
        self, database: Database, indexing: Indexing
    ) -> None:
        self.take(database, indexing, *records(1))
        self.take(database, indexing, *(forged(1, n) for n in range(30)))
        with database.reading() as tx:
            rows = tx.connection().exec_driver_sql("SELECT count(*) FROM candidate_record")
            assert rows.scalar_one() == 8

    def test_what_is_noted_of_refused_records_is_bounded(
        self, database: Database, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(topic_store, "MOST_REFUSED", 5)
        bad = [TopicRecord(USAGE_TOPIC, n % 2, n, b"k", [], None) for n in range(20)]
        with database.writing() as tx:
            topic_store.refuse(tx, [one.refused("no value") for one in bad], NOW)
        with database.reading() as tx:
            assert len(topic_store.refused(tx)) == 10
            assert topic_store.refused_beyond(tx, USAGE_TOPIC) == 10

    def test_positions_move_only_from_where_they_are(self, database: Database) -> None:
        with database.writing() as tx:
            assert topic_store.advance(tx, "t", 0, None, 10)
            assert topic_store.advance(tx, "t", 1, None, 4)
            assert not topic_store.advance(tx, "t", 0, None, 5)
            assert not topic_store.advance(tx, "t", 0, 9, 12)
            assert topic_store.advance(tx, "t", 0, 10, 12)
        with database.reading() as tx:
            assert topic_store.positions(tx, "t") == {0: 12, 1: 4}
            assert topic_store.positions(tx, "u") == {}

    def test_one_replica_publishes_until_its_time_is_over(self, database: Database) -> None:
        later = NOW + timedelta(seconds=30)
        with database.writing() as tx:
            assert outbox.hold(tx, "one", NOW, later)
            assert not outbox.hold(tx, "two", NOW, later)
            assert outbox.hold(tx, "one", NOW, later)
            assert not outbox.advance(tx, "two", 0, 5)
            assert outbox.advance(tx, "one", 0, 5)
            assert not outbox.advance(tx, "one", 0, 6)
            assert outbox.hold(tx, "two", later, later + timedelta(seconds=30))
        with database.reading() as tx:
            assert outbox.outbox(tx).published == 5
            assert outbox.outbox(tx).holder == "two"

    def test_changes_are_published_without_people_and_words(self, database: Database) -> None:
        change = Change(
            "agreement.approved", "user:ana", NOW, "a-1", "ana may read", "bookings",
            "bookings.fares", distributed=True,
        )  # fmt: skip
        with database.writing() as tx:
            timeline.record_change(tx, change)
            timeline.record_change(tx, Change("purpose.added", "user:ana", NOW, "p", "words"))
        with database.reading() as tx:
            first, second = outbox.changes_after(tx, 0, 10)
            assert outbox.changes_after(tx, 1, 10) == [second]
            assert outbox.changes_after(tx, 0, 1) == [first]
        made = to_kafka(first)
        assert made.key == b"bookings"
        assert dict(made.headers)["ce_id"] == b"change-1"
        assert dict(made.headers)["ce_type"] == b"io.meshwarden.agreement.approved.v1"
        assert made.value == (
            b'{"action":"agreement.approved","domain":"bookings","kind":"change",'
            b'"product":"bookings.fares","purpose":"","reference":"a-1","revision":1}'
        )
        assert to_kafka(second).key == b"mesh"

    def settle(self, database: Database, indexing: Indexing) -> None:
        with database.writing() as tx:
            for name in indexing.disputed(tx, NOW + timedelta(days=1)):
                disputing.settle(tx, name, NOW, Vault(X25519PrivateKey.generate()))

    def skip(self, database: Database, indexing: Indexing, at: datetime) -> Sequence[Gap | None]:
        with database.writing() as tx:
            return [indexing.skip_missing(tx, name, at) for name in indexing.overdue(tx, at)]


def _sequence_of(row: UsageEventRow) -> int:
    return row.sequence


def stored(database: Database, name: AgentName = BOOKINGS) -> list[int]:
    """The sequences that are stored, each as it was sent."""

    def found(tx: Transaction) -> dict[int, bytes]:
        return store.stored_events(tx, name.domain, name.agent, range(1, 100))

    with database.reading() as tx:
        documents = found(tx)
    assert documents == {number: encode_event(event(number, name)) for number in documents}
    return sorted(documents)


def tree(database: Database) -> tuple[int, int, str]:
    """How far the log is grown and verified, and its problem."""
    with database.reading() as tx:
        log = tree_store.find(tx, BOOKINGS.domain, BOOKINGS.agent)
    return log.size, log.verified_size, log.problem


def found(database: Database) -> dict[str, str]:
    """The states of receipts."""
    with database.reading() as tx:
        rows = tx.connection().exec_driver_sql("SELECT id, state FROM receipt")
        return {row[0]: row[1] for row in rows}


def refusals(database: Database) -> list[tuple[int, str]]:
    with database.reading() as tx:
        return [(one.position, one.problem) for one in topic_store.refused(tx)]


def told(database: Database) -> list[str]:
    """What the timeline tells of changes, newest first."""
    with database.reading() as tx:
        entries = timeline.newest(tx, ALL, Wanted(kind="change"), None, 100)
    return [one.summary for one in sorted(entries, key=lambda one: -one.revision)]


class TestSqlite(IndexingContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = open_sqlite(tmp_path / "control.db")
        yield engine
        engine.dispose()


class TestPostgres(IndexingContract):
    @pytest.fixture
    def engine(self, empty_postgres: str) -> Iterator[Engine]:
        engine = open_postgres(empty_postgres)
        yield engine
        engine.dispose()
