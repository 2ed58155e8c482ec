"""The tables of the timeline's store, which nobody else uses."""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Column
from sqlmodel import Field, SQLModel

from control_plane.database import Instant


class CounterRow(SQLModel, table=True):
    """One row: its lock orders every commit, so that commit order is revision order."""

    __tablename__ = "counter"
    id: int = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger)
    position: int = Field(sa_type=BigInteger)


class EntryRow(SQLModel, table=True):
    __tablename__ = "entry"
    id: int = Field(primary_key=True, sa_type=BigInteger)
    position: int = Field(sa_type=BigInteger)
    time: datetime = Field(sa_column=Column(Instant, nullable=False))
    kind: str
    action: str
    actor: str
    domain: str | None
    agent: str
    product: str
    reference: str
    purpose: str
    summary: str
    revision: int | None = Field(sa_type=BigInteger)
    distributed: bool
    rows: int = Field(sa_type=BigInteger)
    reasons: list[str] = Field(sa_column=Column(JSON, nullable=False))


class EntryProductRow(SQLModel, table=True):
    __tablename__ = "entry_product"
    entry: int = Field(primary_key=True, foreign_key="entry.id", sa_type=BigInteger)
    product: str = Field(primary_key=True)
    classes: int
