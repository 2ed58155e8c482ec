"""What agents acknowledged: who enforces what, since when, and coming from where."""

from datetime import datetime

from sqlalchemy import BigInteger, Column, func
from sqlmodel import Field, SQLModel, col, select

from control_plane.agents.measuring import Step
from control_plane.agents.rules import Acknowledgement
from control_plane.database import Instant, Transaction


class AcknowledgementRow(SQLModel, table=True):
    __tablename__ = "acknowledgement"
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    revision: int = Field(primary_key=True, sa_type=BigInteger)
    time: datetime = Field(sa_column=Column(Instant, nullable=False))
    digest: bytes
    # What the agent was at on the same stream; None where it had not been connected.
    previous: int | None = Field(default=None, sa_type=BigInteger)


def add(tx: Transaction, domain: str, agent: str, told: Acknowledgement, now: datetime) -> None:
    """Note that an agent enforces a revision; the first note of each stays."""
    if tx.get(AcknowledgementRow, (domain, agent, told.revision)) is None:
        tx.add(
            AcknowledgementRow(
                domain=domain,
                agent=agent,
                revision=told.revision,
                time=now,
                digest=told.digest,
                previous=told.previous,
            )
        )
    tx.flush()


def enforced(tx: Transaction, domain: str, revision: int) -> datetime | None:
    """When the first agent of a domain acknowledged a revision or a later one."""
    return tx.exec(
        select(func.min(AcknowledgementRow.time)).where(
            col(AcknowledgementRow.domain) == domain,
            col(AcknowledgementRow.revision) >= revision,
        )
    ).one()


def enforced_by(tx: Transaction, domain: str, agent: str, revision: int) -> datetime | None:
    """When an agent first acknowledged a revision or a later one."""
    return tx.exec(
        select(func.min(AcknowledgementRow.time)).where(
            col(AcknowledgementRow.domain) == domain,
            col(AcknowledgementRow.agent) == agent,
            col(AcknowledgementRow.revision) >= revision,
        )
    ).one()


def acknowledged(tx: Transaction, domain: str, revision: int) -> dict[str, datetime]:
    """When each agent of a domain first acknowledged a revision or a later one; those that did."""
    found = tx.exec(
        select(AcknowledgementRow.agent, func.min(AcknowledgementRow.time))
        .where(
            col(AcknowledgementRow.domain) == domain,
            col(AcknowledgementRow.revision) >= revision,
        )
        .group_by(col(AcknowledgementRow.agent))
    )
    return dict(found.all())


def steps(tx: Transaction, domain: str, since_revision: int) -> list[Step]:
    """What a domain's connected agents acknowledged from a revision on; the slowest's of each."""
    row = AcknowledgementRow
    found = tx.exec(
        select(row.previous, row.revision, func.max(row.time))
        .where(
            col(row.domain) == domain,
            col(row.revision) >= since_revision,
            col(row.previous).is_not(None),
        )
        .group_by(col(row.previous), col(row.revision))
    )
    return [Step(domain, previous or 0, revision, time) for previous, revision, time in found]
