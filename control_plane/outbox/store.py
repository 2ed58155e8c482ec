"""The outbox: its messages are the timeline's changes, written by whoever made the change."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, or_, update
from sqlmodel import Field, SQLModel, col, select

from control_plane.database import Instant, Transaction
from control_plane.outbox.rules import Outbox, TopicChange
from control_plane.timeline.tables import EntryRow


class OutboxRow(SQLModel, table=True):
    """One row: up to which revision changes are published, and who may publish."""

    __tablename__ = "outbox"
    id: int = Field(primary_key=True)
    published: int = Field(sa_type=BigInteger)
    holder: str
    held_until: datetime = Field(sa_column=Column(Instant, nullable=False))


def outbox(tx: Transaction) -> Outbox:
    """How it stands."""
    row = tx.exec(select(OutboxRow)).one()
    return Outbox(row.published, row.holder, row.held_until)


def hold(tx: Transaction, holder: str, now: datetime, until: datetime) -> bool:
    """Let somebody publish until then; False while somebody else may."""
    free = or_(
        col(OutboxRow.holder) == holder,
        col(OutboxRow.held_until) <= now,
    )
    held = tx.execute(
        update(OutboxRow)
        .where(free)
        .values(holder=holder, held_until=until)
        .returning(col(OutboxRow.id))
    )
    return held.first() is not None


def advance(tx: Transaction, holder: str, before: int, to: int) -> bool:
    """Note what was published; False when somebody else has published meanwhile."""
    moved = tx.execute(
        update(OutboxRow)
        .where(col(OutboxRow.holder) == holder, col(OutboxRow.published) == before)
        .values(published=to)
        .returning(col(OutboxRow.id))
    )
    return moved.first() is not None


def changes_after(tx: Transaction, revision: int, limit: int) -> list[TopicChange]:
    """The changes that follow a revision, in order."""
    rows = tx.exec(
        select(EntryRow)
        .where(col(EntryRow.revision) > revision)
        .order_by(col(EntryRow.revision))
        .limit(limit)
    )
    return [
        TopicChange(
            revision=row.revision or 0,
            time=row.time,
            action=row.action,
            domain=row.domain,
            product=row.product,
            reference=row.reference,
            purpose=row.purpose,
        )
        for row in rows
    ]
