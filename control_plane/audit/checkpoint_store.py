"""The checkpoints' table: what each agent signed of its log, and how it stands."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Column, ColumnElement, delete, func, type_coerce, update
from sqlmodel import Field, SQLModel, col, select

from control_plane.audit.heads import Standing
from control_plane.database import Instant, Transaction

# For a day every checkpoint stays, later the last of each hour: one proves all that earlier ones
# do, and these only say more closely where a log stops fitting. Forks and what waits stay for ever.
KEPT_WHOLE = timedelta(days=1)
MAX_FORKED = 1_000
_SOME = 10
_HOUR_MICROSECONDS = 3_600_000_000


class CheckpointRow(SQLModel, table=True):
    __tablename__ = "log_checkpoint"
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    size: int = Field(primary_key=True, sa_type=BigInteger)
    root: bytes = Field(primary_key=True)
    note: str
    arrival: datetime = Field(sa_column=Column(Instant, nullable=False))
    standing: str


@dataclass(frozen=True, slots=True)
class KeptCheckpoint:
    """A signed note, as it came."""

    size: int
    root: bytes
    note: str
    arrival: datetime
    standing: Standing


def add(tx: Transaction, domain: str, agent: str, kept: KeptCheckpoint) -> None:
    """Keep a checkpoint; of a log that forked the first thousand that show it."""
    shown = forked(tx, domain, agent, MAX_FORKED) if kept.standing is Standing.FORKED else []
    if len(shown) == MAX_FORKED:
        return
    tx.add(
        CheckpointRow(
            domain=domain,
            agent=agent,
            size=kept.size,
            root=kept.root,
            note=kept.note,
            arrival=kept.arrival,
            standing=kept.standing.value,
        )
    )
    tx.flush()


def roots_at(tx: Transaction, domain: str, agent: str, size: int) -> frozenset[bytes]:
    """The roots that the agent signed for that size."""
    return frozenset(
        tx.exec(
            select(CheckpointRow.root).where(
                CheckpointRow.domain == domain,
                CheckpointRow.agent == agent,
                CheckpointRow.size == size,
            )
        )
    )


def signed_roots(tx: Transaction, domain: str, agent: str) -> dict[int, bytes]:
    """The roots that an agent signed by size, of sizes that it signed one root for."""
    rows = tx.exec(
        select(CheckpointRow.size, CheckpointRow.root).where(
            CheckpointRow.domain == domain, CheckpointRow.agent == agent
        )
    ).all()
    times = Counter(size for size, _ in rows)
    return {size: bytes(root) for size, root in rows if times[size] == 1}


def pending(
    tx: Transaction, domain: str, agent: str, after: int, until: int
) -> list[KeptCheckpoint]:
    """What waits for a record after one and up to another, by size."""
    return _found(tx, domain, agent, Standing.PENDING, after, until)


def undecided(tx: Transaction, domain: str, agent: str, after: int) -> list[KeptCheckpoint]:
    """Some of what does not fit a log, or waits for it, beyond a size; the smallest first."""
    rows = tx.exec(
        select(CheckpointRow)
        .where(
            CheckpointRow.domain == domain,
            CheckpointRow.agent == agent,
            CheckpointRow.standing != Standing.FITS.value,
            CheckpointRow.size > after,
        )
        .order_by(col(CheckpointRow.size), col(CheckpointRow.root))
        .limit(_SOME)
    )
    return [_kept(row) for row in rows]


def reopen(tx: Transaction, domain: str, agent: str, after: int) -> None:
    """Let what is beyond a size be compared again."""
    tx.execute(
        update(CheckpointRow)
        .where(
            col(CheckpointRow.domain) == domain,
            col(CheckpointRow.agent) == agent,
            col(CheckpointRow.size) > after,
        )
        .values(standing=Standing.PENDING.value)
    )


def fitting(
    tx: Transaction, domain: str, agent: str, after: int, until: int
) -> list[KeptCheckpoint]:
    """What fits the log and ends after one record and at another at the latest, by size."""
    return _found(tx, domain, agent, Standing.FITS, after, until)


def first_fitting(tx: Transaction, domain: str, agent: str, size: int) -> KeptCheckpoint | None:
    """The smallest that fits and has at least that size."""
    return _one(tx, domain, agent, Standing.FITS, col(CheckpointRow.size) >= size, last=False)


def last_fitting(tx: Transaction, domain: str, agent: str, size: int) -> KeptCheckpoint | None:
    """The largest that fits and has at most that size."""
    return _one(tx, domain, agent, Standing.FITS, col(CheckpointRow.size) <= size, last=True)


def latest(tx: Transaction, domain: str, agent: str, standing: Standing) -> KeptCheckpoint | None:
    """The largest that stands so."""
    return _one(tx, domain, agent, standing, col(CheckpointRow.size) > 0, last=True)


def largest(tx: Transaction, domain: str, agent: str) -> KeptCheckpoint | None:
    """The agent's word on most of its log, however it stands."""
    row = tx.exec(
        select(CheckpointRow)
        .where(CheckpointRow.domain == domain, CheckpointRow.agent == agent)
        .order_by(col(CheckpointRow.size).desc(), col(CheckpointRow.arrival).desc())
        .limit(1)
    ).first()
    return None if row is None else _kept(row)


def forked(tx: Transaction, domain: str, agent: str, limit: int) -> list[KeptCheckpoint]:
    """What shows that the log was forked, smallest first."""
    rows = tx.exec(
        select(CheckpointRow)
        .where(
            CheckpointRow.domain == domain,
            CheckpointRow.agent == agent,
            CheckpointRow.standing == Standing.FORKED.value,
        )
        .order_by(col(CheckpointRow.size), col(CheckpointRow.root))
        .limit(limit)
    )
    return [_kept(row) for row in rows]


def settle(
    tx: Transaction, domain: str, agent: str, kept: KeptCheckpoint, standing: Standing
) -> None:
    """Say how one that waited stands now."""
    tx.execute(
        update(CheckpointRow)
        .where(
            col(CheckpointRow.domain) == domain,
            col(CheckpointRow.agent) == agent,
            col(CheckpointRow.size) == kept.size,
            col(CheckpointRow.root) == kept.root,
        )
        .values(standing=standing.value)
    )


def thin_out(tx: Transaction, domain: str, agent: str, now: datetime) -> None:
    """Of those that fit and are older than a day, keep the last of each hour."""
    old = [
        col(CheckpointRow.domain) == domain,
        col(CheckpointRow.agent) == agent,
        col(CheckpointRow.standing) == Standing.FITS.value,
        col(CheckpointRow.arrival) < now - KEPT_WHOLE,
    ]
    hour = type_coerce(col(CheckpointRow.arrival), BigInteger) // _HOUR_MICROSECONDS
    last = select(func.max(CheckpointRow.size)).where(*old).group_by(hour)
    tx.execute(delete(CheckpointRow).where(*old, col(CheckpointRow.size).not_in(last)))


def _found(
    tx: Transaction, domain: str, agent: str, standing: Standing, after: int, until: int
) -> list[KeptCheckpoint]:
    rows = tx.exec(
        select(CheckpointRow)
        .where(
            CheckpointRow.domain == domain,
            CheckpointRow.agent == agent,
            CheckpointRow.standing == standing.value,
            CheckpointRow.size > after,
            CheckpointRow.size <= until,
        )
        .order_by(col(CheckpointRow.size))
    )
    return [_kept(row) for row in rows]


def _one(
    tx: Transaction,
    domain: str,
    agent: str,
    standing: Standing,
    sizes: ColumnElement[bool],
    *,
    last: bool,
) -> KeptCheckpoint | None:
    size = col(CheckpointRow.size)
    row = tx.exec(
        select(CheckpointRow)
        .where(
            CheckpointRow.domain == domain,
            CheckpointRow.agent == agent,
            CheckpointRow.standing == standing.value,
            sizes,
        )
        .order_by(size.desc() if last else size)
        .limit(1)
    ).first()
    return None if row is None else _kept(row)


def _kept(row: CheckpointRow) -> KeptCheckpoint:
    return KeptCheckpoint(row.size, row.root, row.note, row.arrival, Standing(row.standing))
