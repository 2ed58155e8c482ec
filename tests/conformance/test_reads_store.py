"""What the index of reads promises, whichever database is below. A database is one subclass."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from control_plane.audit import claims, reads_store
from control_plane.audit.reads import Dimension, ReadGroup, Selection
from control_plane.database import Database, Transaction, migrate, open_sqlite
from control_plane.postgres import open_postgres
from control_plane.timeline.rules import Sight
from mesh.contracts.values import Classification
from mesh.evidence.events import EventType, UsageEvent, agent_source
from mesh.masks import Mask
from mesh.times import rfc3339
from tests.bench.windows import DAY, FIRST, QUESTIONS, Question, fill, plan

NOW = datetime(2026, 11, 24, 12, 0, 0, 123_456, tzinfo=UTC)
ALL = Sight(everything=True, domains=frozenset(), actor="")
AGENTS = (("bookings", "b-1"), ("bookings", "b-2"), ("fleet", "f-1"))
CLASSES = tuple(one.value for one in Classification)


@dataclass(frozen=True, slots=True)
class Made:
    """A read as a test states it: datasets with the classes and masks of their columns."""

    agent: tuple[str, str] = AGENTS[0]
    actor: str = "user:ana"
    purpose: str = "plan"
    time: datetime = NOW
    outcome: str = "completed"
    rows: int = 7
    bytes: int = 70
    datasets: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = ()

    def events(self, receipt: str) -> list[UsageEvent]:
        domain, agent = self.agent
        decisions = [
            {
                "product": f"{domain}.{product}",
                "dataset": dataset,
                "columns": [{"classification": word, "mask": mask} for word, mask in columns],
            }
            for product, dataset, columns in self.datasets
        ]
        first = UsageEvent(
            id=receipt,
            source=agent_source(domain, agent),
            type=EventType.REFUSED if self.outcome == "refused" else EventType.STARTED,
            time=self.time,
            sequence=1,
            receipt=receipt,
            data={"purpose": self.purpose, "decisions": decisions},
        )
        if self.outcome in ("started", "refused"):
            return [first]
        last = replace(
            first,
            id=f"{receipt}-end",
            type=EventType(f"io.meshwarden.read.{self.outcome}.v1"),
            time=self.time + timedelta(hours=1),
            data={"rows": self.rows, "bytes": self.bytes},
        )
        return [first, last]

    @property
    def counted(self) -> tuple[int, int]:
        return (self.rows, self.bytes) if self.outcome in ("completed", "aborted") else (0, 0)


def write(tx: Transaction, reads: Sequence[Made], ends_together: bool = True) -> None:
    """Index them as the audit does, with the ends in batches of their own or not."""
    for name in sorted({made.agent for made in reads}):
        of_agent = {f"r{n}": made for n, made in enumerate(reads) if made.agent == name}
        events = {receipt: made.events(receipt) for receipt, made in of_agent.items()}
        batches = (
            [[event for each in events.values() for event in each]]
            if ends_together
            else [
                [each[0] for each in events.values()],
                [e for x in events.values() for e in x[1:]],
            ]
        )
        known: set[str] = set()
        for batch in batches:
            actors = {event.id: of_agent[event.receipt].actor for event in batch}
            claimed = [claims.claim_of(event, name[0]) for event in batch]
            found = claims.reads_of(claimed, *name, actors)
            reads_store.index_reads(tx, found, known)
            known |= {one.read.receipt for one in found}


def plainly(
    reads: Sequence[Made], sight: Sight, selection: Selection, dimensions: Sequence[Dimension]
) -> list[ReadGroup]:
    """The same counts without a database."""
    groups: dict[tuple[str, ...], dict[int, Made]] = {}
    for number, made in enumerate(reads):
        domain = made.agent[0]
        if not (sight.everything or domain in sight.domains or made.actor == sight.actor):
            continue
        for product, classification in touches(made):
            values = {
                Dimension.ACTOR: made.actor,
                Dimension.PRODUCT: product,
                Dimension.CLASSIFICATION: classification,
                Dimension.PURPOSE: made.purpose,
                Dimension.OUTCOME: made.outcome,
                Dimension.HOUR: rfc3339(made.time.replace(minute=0, second=0)),
                Dimension.DAY: made.time.date().isoformat(),
            }
            wanted = all(
                getattr(selection, name) in ("", values[Dimension(name)])
                for name in ("actor", "product", "classification", "purpose", "outcome")
            )
            since, until = selection.since or made.time, selection.until
            if wanted and since <= made.time and (until is None or made.time < until):
                groups.setdefault(tuple(values[d] for d in dimensions), {})[number] = made
    found = [
        ReadGroup(
            values=values,
            reads=len(of),
            refused=sum(made.outcome == "refused" for made in of.values()),
            rows=sum(made.counted[0] for made in of.values()),
            bytes=sum(made.counted[1] for made in of.values()),
            first=min(made.time for made in of.values()),
            last=max(made.time for made in of.values()),
        )
        for values, of in groups.items()
    ]
    return sorted(found, key=lambda group: order(group, dimensions))


def touches(made: Made) -> set[tuple[str, str]]:
    found = set()
    for product, _, columns in made.datasets:
        words = {word for word, mask in columns if mask != Mask.DROP and made.outcome != "refused"}
        found |= {(f"{made.agent[0]}.{product}", word) for word in words or {""}}
    return found or {("", "")}


def order(group: ReadGroup, dimensions: Sequence[Dimension]) -> tuple[object, ...]:
    times = [v for d, v in zip(dimensions, group.values, strict=True) if d.seconds]
    others = [
        ("", *CLASSES).index(v) if d is Dimension.CLASSIFICATION else v
        for d, v in zip(dimensions, group.values, strict=True)
        if not d.seconds
    ]
    return (*times, -group.reads, *others)


COLUMNS = st.lists(
    st.tuples(st.sampled_from(CLASSES), st.sampled_from(["clear", "null", "drop"])), max_size=3
).map(tuple)
DATASETS = st.dictionaries(
    st.tuples(st.sampled_from("abc"), st.sampled_from("xy")), COLUMNS, max_size=4
).map(lambda found: tuple((*name, columns) for name, columns in found.items()))
TIMES = st.integers(0, 4 * 86_400_000_000).map(lambda n: NOW + timedelta(microseconds=n))
MADE = st.builds(
    Made,
    agent=st.sampled_from(AGENTS),
    actor=st.sampled_from(["", "user:ana", "user:bob", "service:loader"]),
    purpose=st.sampled_from(["plan", "audit"]),
    time=TIMES,
    outcome=st.sampled_from(["started", "completed", "aborted", "refused"]),
    rows=st.integers(0, 1_000),
    bytes=st.integers(0, 1_000_000),
    datasets=DATASETS,
)
SELECTIONS = st.builds(
    Selection,
    actor=st.sampled_from(["", "", "user:ana", "user:eve"]),
    product=st.sampled_from(["", "", "bookings.a", "fleet.b"]),
    classification=st.sampled_from(["", "", *CLASSES]),
    purpose=st.sampled_from(["", "", "plan"]),
    outcome=st.sampled_from(["", "", "completed", "refused"]),
    since=st.none() | st.just(NOW + timedelta(days=1)),
    until=st.none() | st.just(NOW + timedelta(days=3)),
)
SIGHTS = st.sampled_from(
    [
        ALL,
        Sight(False, frozenset(), "user:ana"),
        Sight(False, frozenset({"fleet"}), "user:bob"),
        Sight(False, frozenset({"bookings", "fleet"}), "user:eve"),
    ]
)
DIMENSIONS = st.lists(st.sampled_from(Dimension), min_size=1, max_size=3, unique=True)
WIDE = Made(
    datasets=(
        ("a", "x", (("public", "clear"), ("restricted", "null"))),
        ("a", "y", (("restricted", "clear"), ("confidential", "drop"))),
        ("b", "x", (("public", "clear"),)),
    )
)


@dataclass(frozen=True, slots=True)
class Scene:
    """Reads, and what somebody asks about them."""

    reads: list[Made]
    ends_together: bool
    sight: Sight
    selection: Selection
    dimensions: list[Dimension]


SCENES = st.builds(
    Scene, st.lists(MADE, max_size=12), st.booleans(), SIGHTS, SELECTIONS, DIMENSIONS
)
TIED = Scene(
    reads=[Made(datasets=(("a", "x", (("public", "clear"),)), ("a", "y", ())))],
    ends_together=True,
    sight=ALL,
    selection=Selection(),
    dimensions=[Dimension.CLASSIFICATION],
)
looking = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)


class ReadsContract:
    """The promises; a subclass says how a database is made."""

    @pytest.fixture
    def engine(self) -> Iterator[Engine]:
        """An engine on an empty database."""
        raise NotImplementedError

    @pytest.fixture
    def database(self, engine: Engine) -> Database:
        migrate(engine)
        return Database(engine, lambda _: None)

    def summed(
        self, database: Database, *dimensions: Dimension, **wanted: str
    ) -> dict[tuple[str, ...], tuple[int, int]]:
        """Reads and rows by group."""
        with database.reading() as tx:
            groups = reads_store.summarize(tx, ALL, Selection(**wanted), dimensions, 100)  # type: ignore[arg-type]
        return {group.values: (group.reads, group.rows) for group in groups}

    def check(self, database: Database, scene: Scene) -> None:
        """Compare the database's counts with those that are made without one."""
        with database.writing() as tx:
            tx.execute(text("DELETE FROM dataset_read"))
            write(tx, scene.reads, scene.ends_together)
        asked = (scene.sight, scene.selection, scene.dimensions)
        with database.reading() as tx:
            found = reads_store.summarize(tx, *asked, 1_000)
        assert found == plainly(scene.reads, *asked)

    def test_a_read_counts_once_in_a_group_however_many_of_its_datasets_are_in_it(
        self, database: Database
    ) -> None:
        with database.writing() as tx:
            write(tx, [WIDE])
        by = Dimension
        assert self.summed(database, by.ACTOR) == {("user:ana",): (1, 7)}
        assert self.summed(database, by.PRODUCT) == {
            ("bookings.a",): (1, 7),
            ("bookings.b",): (1, 7),
        }
        assert self.summed(database, by.CLASSIFICATION) == {
            ("public",): (1, 7),
            ("restricted",): (1, 7),
        }
        assert self.summed(database, by.PRODUCT, classification="restricted") == {
            ("bookings.a",): (1, 7)
        }
        assert self.summed(database, by.CLASSIFICATION, product="bookings.b") == {
            ("public",): (1, 7)
        }

    def test_groups_come_with_the_most_reads_first_and_no_more_than_asked_for(
        self, database: Database
    ) -> None:
        with database.writing() as tx:
            write(tx, [Made(actor=f"user:{name}") for name in "abbcc"])
        with database.reading() as tx:
            groups = reads_store.summarize(tx, ALL, Selection(), [Dimension.ACTOR], 2)
        assert [group.values for group in groups] == [("user:b",), ("user:c",)]

    def test_an_actor_is_set_for_an_agents_receipts_and_blanked_everywhere(
        self, database: Database
    ) -> None:
        unknown = [Made(agent=name, actor="") for name in AGENTS for _ in range(2)]
        with database.writing() as tx:
            write(tx, unknown)
            reads_store.set_actors(tx, *AGENTS[0], {"r0": "user:ana", "r2": "user:ana"})
            reads_store.set_actors(tx, *AGENTS[2], {"r4": "user:ana"})
            reads_store.set_actors(tx, *AGENTS[2], {})
        by_actor = self.summed(database, Dimension.ACTOR)
        assert {values: reads for values, (reads, _) in by_actor.items()} == {
            ("",): 4,
            ("user:ana",): 2,
        }
        with database.writing() as tx:
            reads_store.blank_actor(tx, "user:ana", "erased")
        assert self.summed(database, Dimension.ACTOR) == {("",): (4, 28), ("erased",): (2, 14)}

    def test_what_an_agent_claims_of_its_rows_never_breaks_a_sum(self, database: Database) -> None:
        absurd = [Made(rows=n, bytes=n) for n in (2**53 - 1, -5)] * 600
        with database.writing() as tx:
            write(tx, absurd)
        ((reads, rows),) = self.summed(database, Dimension.PURPOSE).values()
        assert (reads, rows) == (1_200, 600 << 44)


class TestSqlite(ReadsContract):
    @pytest.fixture
    def engine(self, tmp_path: Path) -> Iterator[Engine]:
        engine = open_sqlite(tmp_path / "control.db")
        yield engine
        engine.dispose()

    @looking
    @example(TIED)
    @given(SCENES)
    def test_summaries_are_what_counting_plainly_gives(
        self, database: Database, scene: Scene
    ) -> None:
        self.check(database, scene)

    @pytest.mark.parametrize("name", QUESTIONS)
    def test_a_window_is_found_by_an_index(
        self, database: Database, engine: Engine, name: str
    ) -> None:
        question = QUESTIONS[name]
        selection = replace(question.selection, since=NOW, until=NOW + DAY)
        asked = reads_store.summary(ALL, selection, question.dimensions, 101)
        with engine.connect() as connection:
            compiled = asked.compile(connection, compile_kwargs={"literal_binds": True})
            rows = connection.execute(text(f"EXPLAIN QUERY PLAN {compiled}")).all()
        found = "\n".join(row.detail for row in rows)
        assert re.search(r"SEARCH dataset_read USING INDEX dataset_read_by_\w+ .*time>", found)
        assert "SCAN dataset_read" not in found


class TestPostgres(ReadsContract):
    @pytest.fixture
    def engine(self, empty_postgres: str) -> Iterator[Engine]:
        engine = open_postgres(empty_postgres)
        yield engine
        engine.dispose()

    @looking
    @example(TIED)
    @given(SCENES)
    def test_summaries_are_what_counting_plainly_gives(
        self, database: Database, scene: Scene
    ) -> None:
        self.check(database, scene)

    @pytest.mark.parametrize("name", QUESTIONS)
    def test_a_window_is_found_by_an_index(
        self, database: Database, engine: Engine, name: str
    ) -> None:
        fill(engine, 20_000)
        with engine.connect() as connection:
            found = plan(connection, QUESTIONS[name], FIRST + 50 * DAY)
        assert re.search("Index Scan (using|on) dataset_read_by_(time|product)", found), found
        assert "Seq Scan" not in found

    def test_somebodys_reads_are_found_by_an_index(
        self, database: Database, engine: Engine
    ) -> None:
        fill(engine, 20_000)
        with engine.connect() as connection:
            actor = connection.execute(text("SELECT max(actor) FROM dataset_read")).scalar_one()
            question = Question((Dimension.PRODUCT,), Selection(actor=actor), 90 * DAY)
            found = plan(connection, question, FIRST)
        assert "dataset_read_by_actor" in found, found
