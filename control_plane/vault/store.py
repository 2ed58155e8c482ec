"""Principals' keys as agents wrapped them, and whose are being destroyed."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, delete, insert
from sqlmodel import Field, SQLModel, col, select

from control_plane.database import Instant, Transaction
from control_plane.vault.rules import Erasure, PendingErasure, WrappedKey


class PrincipalKeyRow(SQLModel, table=True):
    __tablename__ = "principal_key"
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    principal: str
    quarter: str
    wrapped: bytes
    received: datetime = Field(sa_column=Column(Instant, nullable=False))


class ErasureRow(SQLModel, table=True):
    __tablename__ = "erasure"
    id: str = Field(primary_key=True)
    principal: str | None
    reason: str
    requested: datetime = Field(sa_column=Column(Instant, nullable=False))
    completed: datetime | None = Field(sa_column=Column(Instant))
    keys: int
    revision: int = Field(sa_type=BigInteger)


class ErasureAgentRow(SQLModel, table=True):
    __tablename__ = "erasure_agent"
    erasure: str = Field(primary_key=True, foreign_key="erasure.id")
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)


def known_keys(tx: Transaction, domain: str, agent: str, ids: Sequence[str]) -> set[str]:
    """Which of those keys of an agent are stored."""
    return set(
        tx.exec(
            select(PrincipalKeyRow.id).where(
                PrincipalKeyRow.domain == domain,
                PrincipalKeyRow.agent == agent,
                col(PrincipalKeyRow.id).in_(ids),
            )
        )
    )


def add_keys(tx: Transaction, keys: Sequence[WrappedKey], now: datetime) -> None:
    """Store new keys."""
    rows = [
        {
            "domain": key.domain,
            "agent": key.agent,
            "id": key.id,
            "principal": key.principal,
            "quarter": key.quarter,
            "wrapped": key.wrapped,
            "received": now,
        }
        for key in keys
    ]
    if rows:
        tx.execute(insert(PrincipalKeyRow), rows)


def wrapped_keys(
    tx: Transaction, domain: str, agent: str, ids: Iterable[str]
) -> dict[str, WrappedKey]:
    """The keys of those ids, of those that are stored."""
    rows = tx.exec(
        select(PrincipalKeyRow).where(
            PrincipalKeyRow.domain == domain,
            PrincipalKeyRow.agent == agent,
            col(PrincipalKeyRow.id).in_(sorted(set(ids))),
        )
    )
    return {
        row.id: WrappedKey(row.domain, row.agent, row.id, row.principal, row.quarter, row.wrapped)
        for row in rows
    }


def destroy_keys(tx: Transaction, principal: str) -> int:
    """Delete every key of a principal; how many there were."""
    doomed = col(PrincipalKeyRow.principal) == principal
    deleted = tx.exec(select(PrincipalKeyRow.id).where(doomed)).all()
    tx.execute(delete(PrincipalKeyRow).where(doomed))
    return len(deleted)


def add_erasure(tx: Transaction, erasure: Erasure, principal: str, revision: int) -> None:
    """Store an erasure with the agents it waits for; the name stays only while it does.

    `revision` is the one that agents forget the principal with.
    """
    waits = bool(erasure.waiting)
    tx.add(
        ErasureRow(
            id=erasure.id,
            principal=principal if waits else None,
            reason=erasure.reason,
            requested=erasure.requested,
            completed=erasure.completed,
            keys=erasure.keys,
            revision=revision,
        )
    )
    tx.flush()
    for domain, agent in erasure.waiting:
        tx.add(ErasureAgentRow(erasure=erasure.id, domain=domain, agent=agent))
    tx.flush()


def pending(tx: Transaction, domain: str, agent: str) -> list[PendingErasure]:
    """Whose keys an agent has yet to destroy, oldest first."""
    rows = tx.exec(
        select(ErasureRow.id, ErasureRow.principal, ErasureRow.revision)
        .join(ErasureAgentRow, col(ErasureAgentRow.erasure) == col(ErasureRow.id))
        .where(ErasureAgentRow.domain == domain, ErasureAgentRow.agent == agent)
        .order_by(col(ErasureRow.id))
    )
    return [
        PendingErasure(id_, principal, revision)
        for id_, principal, revision in rows
        if principal is not None
    ]


def confirm(
    tx: Transaction, domain: str, agent: str, erasures: Iterable[str], now: datetime
) -> list[str]:
    """Note that an agent destroyed what it had; the erasures that are complete with that."""
    completed = []
    for erasure in sorted(set(erasures)):
        waiting = tx.get(ErasureAgentRow, (erasure, domain, agent))
        if waiting is None:
            continue
        tx.delete(waiting)
        tx.flush()
        others = select(ErasureAgentRow).where(ErasureAgentRow.erasure == erasure).limit(1)
        if tx.exec(others).first() is None:
            row = tx.get_one(ErasureRow, erasure)
            row.completed, row.principal = now, None
            tx.add(row)
            completed.append(erasure)
    tx.flush()
    return completed


def erasures(tx: Transaction) -> list[Erasure]:
    """Every erasure, newest first."""
    waiting: dict[str, list[tuple[str, str]]] = {}
    for row in tx.exec(select(ErasureAgentRow)):
        waiting.setdefault(row.erasure, []).append((row.domain, row.agent))
    rows = tx.exec(select(ErasureRow).order_by(col(ErasureRow.id).desc()))
    return [
        Erasure(
            id=row.id,
            reason=row.reason,
            requested=row.requested,
            completed=row.completed,
            keys=row.keys,
            waiting=tuple(sorted(waiting.get(row.id, ()))),
        )
        for row in rows
    ]
