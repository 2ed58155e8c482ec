"""The agreements' table."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ColumnElement, and_, func, or_
from sqlalchemy import update as change
from sqlmodel import Field, SQLModel, col, select

from control_plane.bulk import insert_missing_rows
from control_plane.database import Instant, Transaction
from control_plane.vault.rules import ERASED
from mesh.agreements.values import Agreement, AgreementState

_CHUNK = 1_000


class AgreementRow(SQLModel, table=True):
    __tablename__ = "agreement"
    id: str = Field(primary_key=True)
    request_id: str | None
    domain: str
    product: str
    contract_version: str
    consumer: str
    role: str
    purpose: str
    datasets: list[str] = Field(sa_column=Column(JSON, nullable=False))
    justification: str
    requester: str
    state: str
    requested: datetime = Field(sa_column=Column(Instant, nullable=False))
    expires: datetime = Field(sa_column=Column(Instant, nullable=False))
    decider: str | None
    decided: datetime | None = Field(sa_column=Column(Instant))
    note: str
    ender: str | None
    ended: datetime | None = Field(sa_column=Column(Instant))
    revision: int = Field(sa_type=BigInteger)


class AgreementReadRow(SQLModel, table=True):
    __tablename__ = "agreement_read"
    agreement: str = Field(primary_key=True)
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    receipt: str = Field(primary_key=True)
    time: datetime = Field(sa_column=Column(Instant, nullable=False))


@dataclass(frozen=True, slots=True)
class AgreementRead:
    """That an agent's read, named by its receipt, rests on an agreement."""

    agreement: str
    receipt: str
    time: datetime


@dataclass(frozen=True, slots=True)
class View:
    """Which agreements somebody may see; `products` are `domain.product` that they own."""

    everything: bool
    requester: str
    consumers: tuple[str, ...]
    domains: frozenset[str]
    products: frozenset[str]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A selection of agreements; an empty field selects all."""

    domain: str = ""
    product: str = ""
    consumer: str = ""
    state: AgreementState | None = None


def add(tx: Transaction, agreement: Agreement, request_id: str) -> None:
    """Store a new agreement."""
    tx.add(AgreementRow(**_columns(agreement), request_id=request_id or None))
    tx.flush()


def update(tx: Transaction, agreement: Agreement) -> None:
    """Store what became of an agreement."""
    row = tx.get_one(AgreementRow, agreement.id)
    for name, value in _columns(agreement).items():
        setattr(row, name, value)
    tx.add(row)
    tx.flush()


def find(tx: Transaction, agreement_id: str) -> Agreement | None:
    """The agreement of that id."""
    row = tx.get(AgreementRow, agreement_id)
    return None if row is None else _agreement(row)


def find_request(tx: Transaction, requester: str, request_id: str) -> Agreement | None:
    """The agreement that an earlier try of the same request made."""
    row = tx.exec(
        select(AgreementRow).where(
            AgreementRow.requester == requester, AgreementRow.request_id == request_id
        )
    ).one_or_none()
    return None if row is None else _agreement(row)


def page(
    tx: Transaction, view: View, wanted: Wanted, now: datetime, before: str, limit: int
) -> list[Agreement]:
    """Agreements newest first, after the one with id `before`."""
    query = select(AgreementRow).where(*_seen(view), *_selected(wanted, now))
    if before:
        query = query.where(AgreementRow.id < before)
    query = query.order_by(col(AgreementRow.id).desc()).limit(limit)
    return [_agreement(row) for row in tx.exec(query)]


def enforceable(tx: Transaction, domain: str, since: datetime) -> list[Agreement]:
    """What an agent must know: active ones, and those that ended since an instant.

    Nobody can read under one whose consumer is erased, so agents forget it.
    """
    query = select(AgreementRow).where(
        AgreementRow.domain == domain,
        AgreementRow.consumer != ERASED,
        or_(
            col(AgreementRow.state) == AgreementState.ACTIVE.value,
            and_(
                col(AgreementRow.state).in_([AgreementState.EXPIRED, AgreementState.REVOKED]),
                col(AgreementRow.ended) >= since,
            ),
        ),
    )
    return [_agreement(row) for row in tx.exec(query)]


def due(tx: Transaction, now: datetime) -> list[Agreement]:
    """Active agreements past their end."""
    query = select(AgreementRow).where(
        AgreementRow.state == AgreementState.ACTIVE.value, AgreementRow.expires <= now
    )
    return [_agreement(row) for row in tx.exec(query)]


def own(tx: Transaction, domain: str, ids: Iterable[str]) -> frozenset[str]:
    """Which of those are agreements of the domain."""
    found: set[str] = set()
    for some in _chunks(sorted(ids)):
        query = select(AgreementRow.id).where(
            AgreementRow.domain == domain, col(AgreementRow.id).in_(some)
        )
        found.update(tx.exec(query))
    return frozenset(found)


def note_reads(tx: Transaction, domain: str, agent: str, reads: Sequence[AgreementRead]) -> None:
    """Note which agreements an agent's reads rest on; the first note of each stays."""
    first: dict[tuple[str, str], AgreementRead] = {}
    for read in reads:
        first.setdefault((read.agreement, read.receipt), read)
    rows = [
        {
            "agreement": read.agreement,
            "domain": domain,
            "agent": agent,
            "receipt": read.receipt,
            "time": read.time,
        }
        for read in first.values()
    ]
    insert_missing_rows(tx, AgreementReadRow, rows)


def first_read(tx: Transaction, agreement_id: str) -> datetime | None:
    """When somebody first read under the agreement."""
    query = select(func.min(AgreementReadRow.time)).where(
        AgreementReadRow.agreement == agreement_id
    )
    return tx.exec(query).one()


def count_active(tx: Transaction, now: datetime) -> int:
    """How many agreements cover reads now."""
    return tx.exec(
        select(func.count())
        .select_from(AgreementRow)
        .where(AgreementRow.state == AgreementState.ACTIVE.value, AgreementRow.expires > now)
    ).one()


def _seen(view: View) -> list[ColumnElement[bool]]:
    if view.everything:
        return []
    name = col(AgreementRow.domain) + "." + col(AgreementRow.product)
    return [
        or_(
            col(AgreementRow.requester) == view.requester,
            col(AgreementRow.consumer).in_(view.consumers),
            col(AgreementRow.domain).in_(sorted(view.domains)),
            name.in_(sorted(view.products)),
        )
    ]


def _selected(wanted: Wanted, now: datetime) -> list[ColumnElement[bool]]:
    selected: list[ColumnElement[bool]] = []
    for column, value in (
        (AgreementRow.domain, wanted.domain),
        (AgreementRow.product, wanted.product),
        (AgreementRow.consumer, wanted.consumer),
    ):
        if value:
            selected.append(col(column) == value)
    stored, expires = col(AgreementRow.state), col(AgreementRow.expires)
    active = AgreementState.ACTIVE.value
    match wanted.state:
        case None:
            pass
        case AgreementState.ACTIVE:
            selected += [stored == active, expires > now]
        case AgreementState.EXPIRED:
            expired = AgreementState.EXPIRED.value
            selected.append(or_(stored == expired, and_(stored == active, expires <= now)))
        case state:
            selected.append(stored == state.value)
    return selected


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    """A few at a time, as databases limit what one query takes."""
    return (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))


_NAMES = tuple(field.name for field in fields(Agreement))


def _columns(agreement: Agreement) -> dict[str, Any]:
    columns = {name: getattr(agreement, name) for name in _NAMES}
    columns["datasets"] = list(agreement.datasets)
    columns["state"] = agreement.state.value
    return columns


def _agreement(row: AgreementRow) -> Agreement:
    columns = {name: getattr(row, name) for name in _NAMES}
    columns["datasets"] = tuple(row.datasets)
    columns["state"] = AgreementState(row.state)
    return Agreement(**columns)


def count_open(tx: Transaction, principal: str, now: datetime) -> int:
    """How many agreements of a consumer are requested or cover reads now."""
    requested, active = AgreementState.REQUESTED.value, AgreementState.ACTIVE.value
    return tx.exec(
        select(func.count())
        .select_from(AgreementRow)
        .where(
            AgreementRow.consumer == principal,
            or_(
                col(AgreementRow.state) == requested,
                and_(col(AgreementRow.state) == active, col(AgreementRow.expires) > now),
            ),
        )
    ).one()


def erase_principal(tx: Transaction, principal: str) -> None:
    """Take a principal out of every agreement, and whatever was written freely in those."""
    named = [
        AgreementRow.requester,
        AgreementRow.consumer,
        AgreementRow.decider,
        AgreementRow.ender,
    ]
    anywhere = or_(*(col(column) == principal for column in named))
    freely = {"justification": "", "note": "", "request_id": None}
    tx.execute(change(AgreementRow).where(anywhere).values(freely))
    for column in named:
        erased = change(AgreementRow).where(col(column) == principal).values({col(column): ERASED})
        tx.execute(erased)
