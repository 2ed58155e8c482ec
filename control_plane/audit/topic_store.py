"""The tables of reading a topic: where it stands, what waits, what is missing, what was refused."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, case, delete, func, update
from sqlalchemy import select as select_columns
from sqlmodel import Field, SQLModel, col, select

from control_plane.audit.arrivals import AgentName, Gap, Refused, Waiting
from control_plane.bulk import insert_rows
from control_plane.database import Instant, Transaction
from mesh.evidence.codec import LONGEST_TAIL, Recorded, place_of

# Of the records that are kept, so many are looked at together.
_AT_ONCE = 200
MOST_REFUSED = 10_000


class TopicPositionRow(SQLModel, table=True):
    __tablename__ = "topic_position"
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    next: int = Field(sa_type=BigInteger)


class HeldEventRow(SQLModel, table=True):
    """An event that came before one that its log has first."""

    __tablename__ = "held_event"
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    document: bytes
    arrived: datetime = Field(sa_column=Column(Instant, nullable=False))


class LogGapRow(SQLModel, table=True):
    __tablename__ = "log_gap"
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    first: int = Field(primary_key=True, sa_type=BigInteger)
    last: int = Field(sa_type=BigInteger)
    noticed: datetime = Field(sa_column=Column(Instant, nullable=False))


class RefusedRecordRow(SQLModel, table=True):
    """The record itself stays in the topic, at that position."""

    __tablename__ = "refused_record"
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    position: int = Field(primary_key=True, sa_type=BigInteger)
    key: str
    problem: str
    noticed: datetime = Field(sa_column=Column(Instant, nullable=False))


class RefusedCountRow(SQLModel, table=True):
    """How many records of a partition are noted as refused, and how many more there were."""

    __tablename__ = "refused_count"
    topic: str = Field(primary_key=True)
    partition: int = Field(primary_key=True)
    noted: int = Field(sa_type=BigInteger)
    more: int = Field(sa_type=BigInteger)


def positions(tx: Transaction, topic: str) -> dict[int, int]:
    """The next position to read, by partition, of those that were read."""
    rows = tx.exec(
        select(TopicPositionRow.partition, TopicPositionRow.next).where(
            TopicPositionRow.topic == topic
        )
    )
    return dict(rows.all())


def advance(tx: Transaction, topic: str, partition: int, before: int | None, to: int) -> bool:
    """Move a partition's position; False when somebody else has moved it meanwhile."""
    if before is None:
        if tx.get(TopicPositionRow, (topic, partition)) is not None:
            return False
        tx.add(TopicPositionRow(topic=topic, partition=partition, next=to))
        tx.flush()
        return True
    moved = tx.execute(
        update(TopicPositionRow)
        .where(
            col(TopicPositionRow.topic) == topic,
            col(TopicPositionRow.partition) == partition,
            col(TopicPositionRow.next) == before,
        )
        .values(next=to)
        .returning(col(TopicPositionRow.next))
    )
    return moved.first() is not None


def forget_positions(tx: Transaction, topic: str) -> None:
    """Let the topic be read from its start again."""
    tx.execute(delete(TopicPositionRow).where(col(TopicPositionRow.topic) == topic))


def hold(tx: Transaction, name: AgentName, events: Sequence[Recorded], now: datetime) -> None:
    """Keep events until those before them come."""
    rows = [
        {
            "domain": name.domain,
            "agent": name.agent,
            "sequence": event.sequence,
            "document": record,
            "arrived": now,
        }
        for event, record in events
    ]
    insert_rows(tx, HeldEventRow, rows)


def held(tx: Transaction, name: AgentName, after: int = 0) -> Iterator[tuple[int, bytes]]:
    """The records that are kept of an agent after a sequence, in order, few at a time."""
    while True:
        rows = tx.exec(
            select(HeldEventRow.sequence, HeldEventRow.document)
            .where(
                HeldEventRow.domain == name.domain,
                HeldEventRow.agent == name.agent,
                HeldEventRow.sequence > after,
            )
            .order_by(col(HeldEventRow.sequence))
            .limit(_AT_ONCE)
        ).all()
        for sequence, document in rows:
            yield sequence, bytes(document)
        if len(rows) < _AT_ONCE:
            return
        after = rows[-1][0]


def held_ids(tx: Transaction, name: AgentName) -> dict[str, int]:
    """The sequences of the events that are kept of an agent, by id."""
    size = func.length(HeldEventRow.document)
    tail = func.substr(
        HeldEventRow.document, case((size > LONGEST_TAIL, size - LONGEST_TAIL + 1), else_=1)
    )
    rows = tx.exec(
        select(HeldEventRow.sequence, tail).where(
            HeldEventRow.domain == name.domain, HeldEventRow.agent == name.agent
        )
    )
    return {place_of(bytes(end)).id: sequence for sequence, end in rows}


def held_of(tx: Transaction, name: AgentName, sequences: Sequence[int]) -> dict[int, bytes]:
    """The records that are kept under those sequences."""
    if not sequences:
        return {}
    rows = tx.exec(
        select(HeldEventRow.sequence, HeldEventRow.document).where(
            HeldEventRow.domain == name.domain,
            HeldEventRow.agent == name.agent,
            col(HeldEventRow.sequence).in_(sequences),
        )
    )
    return dict(rows.all())


def release(tx: Transaction, name: AgentName, last: int) -> None:
    """Keep no longer what is up to a sequence."""
    tx.execute(
        delete(HeldEventRow).where(
            col(HeldEventRow.domain) == name.domain,
            col(HeldEventRow.agent) == name.agent,
            col(HeldEventRow.sequence) <= last,
        )
    )


def waiting(tx: Transaction) -> list[Waiting]:
    """The agents of which something is kept: how much, and since when."""
    rows = tx.execute(
        select_columns(
            col(HeldEventRow.domain),
            col(HeldEventRow.agent),
            func.count(),
            func.min(HeldEventRow.arrived),
            func.min(HeldEventRow.sequence),
        ).group_by(col(HeldEventRow.domain), col(HeldEventRow.agent))
    )
    return [Waiting(AgentName(row[0], row[1]), *row[2:]) for row in rows]


def add_gap(tx: Transaction, name: AgentName, gap: Gap, now: datetime) -> None:
    """Note that those events never came."""
    tx.add(
        LogGapRow(domain=name.domain, agent=name.agent, first=gap.first, last=gap.last, noticed=now)
    )
    tx.flush()


def gaps(tx: Transaction, name: AgentName) -> list[Gap]:
    """What never came of an agent's log, in order."""
    rows = tx.exec(
        select(LogGapRow.first, LogGapRow.last)
        .where(LogGapRow.domain == name.domain, LogGapRow.agent == name.agent)
        .order_by(col(LogGapRow.first))
    )
    return [Gap(first, last) for first, last in rows]


def refuse(tx: Transaction, records: Sequence[Refused], now: datetime) -> None:
    """Note which records were not taken, and why; of those beyond a bound only how many."""
    for one in _noted(tx, records):
        row = RefusedRecordRow(
            topic=one.topic,
            partition=one.partition,
            position=one.position,
            key=one.key,
            problem=one.problem,
            noticed=now,
        )
        tx.merge(row)
    tx.flush()


def _noted(tx: Transaction, records: Sequence[Refused]) -> list[Refused]:
    """Those that there is room for; the rest is counted."""
    noted: list[Refused] = []
    for one in records:
        place = (one.topic, one.partition)
        row = tx.get(RefusedCountRow, place)
        if row is None:
            row = RefusedCountRow(topic=one.topic, partition=one.partition, noted=0, more=0)
            tx.add(row)
            tx.flush()
        if row.noted < MOST_REFUSED:
            row.noted += 1
            noted.append(one)
        else:
            row.more += 1
    return noted


def refused_beyond(tx: Transaction, topic: str) -> int:
    """How many records of a topic were refused and not noted, as too many were."""
    counts = tx.exec(select(RefusedCountRow.more).where(RefusedCountRow.topic == topic))
    return sum(counts)


def refused(tx: Transaction) -> list[Refused]:
    """Every record that was not taken, by place."""
    rows = tx.exec(
        select(RefusedRecordRow).order_by(
            col(RefusedRecordRow.topic),
            col(RefusedRecordRow.partition),
            col(RefusedRecordRow.position),
        )
    )
    return [Refused(r.topic, r.partition, r.position, r.key, r.problem) for r in rows]
