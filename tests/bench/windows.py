"""The auditor's questions: a day of ten million reads, filtered and grouped, in PostgreSQL."""

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, text

from control_plane.audit import reads_store
from control_plane.audit.reads import Dimension, Selection
from control_plane.database import Database, migrate
from control_plane.postgres import open_postgres
from control_plane.timeline.rules import Sight
from examples.airline.postgres import Postgres
from tests.bench.measuring import Figure, Section, Target, alternate, percentiles

if TYPE_CHECKING:
    from tests.bench.surroundings import Surroundings

READS, DAYS = 10_000_000, 100
FIRST = datetime(2026, 8, 1, tzinfo=UTC)
DAY = timedelta(days=1)
EVERY = Selection()
ALL = Sight(everything=True, domains=frozenset(), actor="")
_WINDOWS = 40
_SEED = 4
# The shares of a busy mesh: some read much, most reads complete, few touch what is restricted.
_FILL = """
INSERT INTO dataset_read (
    receipt, domain, agent, part, time, actor, product, dataset, purpose, outcome,
    rows, bytes, product_classes, read_classes)
SELECT
    '0197' || lpad(to_hex(n), 8, '0') || '-7000-8000-' || substr(md5(n::text), 1, 12),
    domain, domain || '-1', 0, CAST(:first AS bigint) + n * CAST(:step AS bigint),
    'user:' || substr(md5((500 * power(random(), 3))::int::text), 1, 8),
    domain || '.product_' || (4 * power(random(), 2))::int, 'passengers',
    'purpose-' || (6 * random())::int,
    CASE WHEN random() < 0.92 THEN 'completed' WHEN random() < 0.6 THEN 'refused'
         WHEN random() < 0.9 THEN 'aborted' ELSE 'started' END,
    (power(random(), 8) * 1e6)::bigint, (power(random(), 8) * 1e9)::bigint, classes, classes
FROM generate_series(1, CAST(:reads AS bigint)) AS n,
    LATERAL (SELECT 'domain_' || (11 * random() + n * 0)::int AS domain,
        32 | (ARRAY[1, 3, 3, 7, 6, 15, 16])[1 + floor(random() * 7 + n * 0)::int] AS classes) AS of
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What an auditor asks of a window."""

    dimensions: tuple[Dimension, ...]
    selection: Selection
    length: timedelta = DAY


QUESTIONS: Mapping[str, Question] = {
    "by who": Question((Dimension.ACTOR,), EVERY),
    "by product, class": Question((Dimension.PRODUCT, Dimension.CLASSIFICATION), EVERY),
    "restricted, by who, product": Question(
        (Dimension.ACTOR, Dimension.PRODUCT), Selection(classification="restricted")
    ),
    "refused, by purpose": Question((Dimension.PURPOSE,), Selection(outcome="refused")),
    "by hour": Question((Dimension.HOUR,), EVERY),
    "one product, by who": Question((Dimension.ACTOR,), Selection(product="domain_3.product_1")),
}


def windows(given: "Surroundings") -> list[Section]:
    """Each question of random days, one after the other."""
    with Postgres({"max_wal_size": "4GB"}) as postgres:
        engine = open_postgres(postgres.url(postgres.create()))
        migrate(engine)
        began = time.perf_counter()
        fill(engine, READS)
        filled = time.perf_counter() - began
        database = Database(engine, lambda _: None)
        days = random.Random(_SEED)  # noqa: S311 - nothing secret is drawn
        runs = {name: partial(_asked, database, of, days) for name, of in QUESTIONS.items()}
        times = alternate(runs, given.rounds)
        engine.dispose()
    figures = [
        Figure(f"{name}, p{percent}", percentiles(of, percent, 1e3), "ms", target)
        for name, of in times.items()
        for percent, target in ((50, None), (99, Target(300.0)))
    ]
    note = (
        f"PostgreSQL holds {READS:,} reads of {DAYS} days, so that a day has"
        f" {READS // DAYS:,}; they were made in {filled:.0f} s. Each question was asked of"
        f" {_WINDOWS} random days in a round."
    )
    return [Section("Auditor's window", figures, note)]


def fill(engine: Engine, reads: int) -> None:
    """Index that many reads, evenly over the days; the migrations' indexes are built at the end."""
    with engine.begin() as connection:
        indexes = _without_indexes(connection)
        connection.execute(
            text(_FILL),
            {
                "first": int(FIRST.timestamp() * 1_000_000),
                "step": DAYS * 86_400_000_000 // reads,
                "reads": reads,
            },
        )
        for definition in indexes:
            connection.execute(text(definition))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("VACUUM ANALYZE dataset_read"))


def plan(connection: Connection, question: Question, since: datetime) -> str:
    """How PostgreSQL answers a question of the window that begins then."""
    asked = reads_store.summary(ALL, _of(question, since), question.dimensions, 101)
    compiled = asked.compile(connection, compile_kwargs={"literal_binds": True})
    return "\n".join(connection.execute(text(f"EXPLAIN ANALYZE {compiled}")).scalars())


def _of(question: Question, since: datetime) -> Selection:
    return replace(question.selection, since=since, until=since + question.length)


def _asked(database: Database, question: Question, days: random.Random) -> list[float]:
    times = []
    for _ in range(_WINDOWS):
        selection = _of(question, FIRST + (DAYS - 1) * days.random() * DAY)
        began = time.perf_counter()
        with database.reading() as tx:
            groups = reads_store.summarize(tx, ALL, selection, question.dimensions, 101)
        times.append(time.perf_counter() - began)
        assert groups
    return times


def _without_indexes(connection: Connection) -> list[str]:
    """Drop the table's indexes; how to make them again."""
    key = "dataset_read_pkey"
    found = connection.execute(
        text("SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'dataset_read'")
    ).all()
    connection.execute(text(f"ALTER TABLE dataset_read DROP CONSTRAINT {key}"))
    others = [(name, definition) for name, definition in found if name != key]
    for name, _ in others:
        connection.execute(text(f"DROP INDEX {name}"))
    return [
        *(definition for _, definition in others),
        f"ALTER TABLE dataset_read ADD CONSTRAINT {key} PRIMARY KEY (receipt, domain, agent, part)",
    ]
