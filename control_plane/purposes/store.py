"""The purposes' table."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, update
from sqlmodel import Field, SQLModel, col, select

from control_plane.database import Instant, Transaction
from control_plane.purposes.rules import Purpose


class PurposeRow(SQLModel, table=True):
    __tablename__ = "purpose"
    id: str = Field(primary_key=True)
    title: str
    creator: str
    created: datetime = Field(sa_column=Column(Instant, nullable=False))
    revision: int = Field(sa_type=BigInteger)


def add(tx: Transaction, purpose: Purpose) -> None:
    """Store a purpose."""
    tx.add(
        PurposeRow(
            id=purpose.id,
            title=purpose.title,
            creator=purpose.creator,
            created=purpose.created,
            revision=purpose.revision,
        )
    )
    tx.flush()


def find(tx: Transaction, purpose_id: str) -> Purpose | None:
    """The purpose of that id."""
    row = tx.get(PurposeRow, purpose_id)
    return None if row is None else _purpose(row)


def page(tx: Transaction, after: str, limit: int | None = None) -> list[Purpose]:
    """Purposes by id, after one; all when there is no limit."""
    query = select(PurposeRow).where(PurposeRow.id > after).order_by(PurposeRow.id)
    return [_purpose(row) for row in tx.exec(query.limit(limit))]


def ids(tx: Transaction) -> frozenset[str]:
    """The ids of every registered purpose."""
    return frozenset(tx.exec(select(col(PurposeRow.id))))


def _purpose(row: PurposeRow) -> Purpose:
    return Purpose(row.id, row.title, row.creator, row.created, row.revision)


def erase_creator(tx: Transaction, principal: str, blank: str) -> None:
    """Put something else where a creator's name stood."""
    tx.execute(update(PurposeRow).where(col(PurposeRow.creator) == principal).values(creator=blank))
