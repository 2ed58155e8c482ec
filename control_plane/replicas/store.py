"""The replicas' table: which control planes serve this database now."""

from datetime import datetime

from sqlalchemy import Column
from sqlmodel import Field, SQLModel, col, delete

from control_plane.database import Instant, Transaction


class ReplicaRow(SQLModel, table=True):
    __tablename__ = "replica"
    id: str = Field(primary_key=True)
    until: datetime = Field(sa_column=Column(Instant, nullable=False))


def beat(tx: Transaction, replica: str, now: datetime, until: datetime) -> None:
    """Say that a replica serves until an instant, and forget those that no longer do."""
    tx.execute(
        delete(ReplicaRow).where(col(ReplicaRow.until) <= now, col(ReplicaRow.id) != replica)
    )
    row = tx.get(ReplicaRow, replica) or ReplicaRow(id=replica, until=until)
    row.until = until
    tx.add(row)
    tx.flush()


def leave(tx: Transaction, replica: str) -> None:
    """Say that a replica no longer serves."""
    tx.execute(delete(ReplicaRow).where(col(ReplicaRow.id) == replica))


def serves(tx: Transaction, replica: str, now: datetime) -> bool:
    """Whether a replica serves at an instant."""
    row = tx.get(ReplicaRow, replica)
    return row is not None and row.until > now
