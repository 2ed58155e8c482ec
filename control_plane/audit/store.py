"""The audit's tables: usage events as they came, receipts, and which agreements were used."""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import Column, func
from sqlmodel import Field, SQLModel, col, select

from control_plane.audit.rules import Receipt
from control_plane.database import Instant, Transaction
from mesh.evidence.codec import decode_event, encode_event
from mesh.evidence.events import UsageEvent


class UsageEventRow(SQLModel, table=True):
    __tablename__ = "usage_event"
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    sequence: int = Field(primary_key=True)
    id: str
    receipt: str
    document: bytes
    stored: datetime = Field(sa_column=Column(Instant, nullable=False))


class ReceiptRow(SQLModel, table=True):
    __tablename__ = "receipt"
    id: str = Field(primary_key=True)
    domain: str
    agent: str
    state: str
    actor: str


class AgreementReadRow(SQLModel, table=True):
    __tablename__ = "agreement_read"
    agreement: str = Field(primary_key=True)
    receipt: str = Field(primary_key=True)
    time: datetime = Field(sa_column=Column(Instant, nullable=False))


def stored_sequence(tx: Transaction, domain: str, agent: str) -> int:
    """The last sequence stored of an agent; 0 before the first."""
    latest = tx.exec(
        select(func.max(UsageEventRow.sequence)).where(
            col(UsageEventRow.domain) == domain, col(UsageEventRow.agent) == agent
        )
    ).one()
    return latest or 0


def same_as_stored(tx: Transaction, domain: str, agent: str, event: UsageEvent) -> bool:
    """Whether exactly this event is stored under its sequence."""
    row = tx.get(UsageEventRow, (domain, agent, event.sequence))
    return row is not None and row.document == encode_event(event)


def sequence_of(tx: Transaction, domain: str, agent: str, event_id: str) -> int | None:
    """The sequence under which an agent's event of that id is stored."""
    return tx.exec(
        select(UsageEventRow.sequence).where(
            UsageEventRow.domain == domain,
            UsageEventRow.agent == agent,
            UsageEventRow.id == event_id,
        )
    ).one_or_none()


def add_event(
    tx: Transaction, domain: str, agent: str, event: UsageEvent, stored: datetime
) -> None:
    """Store an event byte for byte as its canonical form."""
    tx.add(
        UsageEventRow(
            domain=domain,
            agent=agent,
            sequence=event.sequence,
            id=event.id,
            receipt=event.receipt,
            document=encode_event(event),
            stored=stored,
        )
    )
    tx.flush()


def put_receipt(tx: Transaction, receipt: Receipt) -> None:
    """Store a receipt, or its new state."""
    row = tx.get(ReceiptRow, receipt.id)
    if row is None:
        row = ReceiptRow(
            id=receipt.id,
            domain=receipt.domain,
            agent=receipt.agent,
            state=receipt.state,
            actor=receipt.actor,
        )
    row.state = receipt.state
    tx.add(row)
    tx.flush()


def find_receipt(tx: Transaction, receipt: str) -> Receipt | None:
    """The receipt of that id."""
    row = tx.get(ReceiptRow, receipt)
    if row is None:
        return None
    return Receipt(row.id, row.domain, row.agent, row.state, row.actor)


def events_of(tx: Transaction, receipt: Receipt) -> list[UsageEvent]:
    """The receipt's events by sequence."""
    rows = tx.exec(
        select(UsageEventRow)
        .where(
            col(UsageEventRow.receipt) == receipt.id,
            col(UsageEventRow.domain) == receipt.domain,
            col(UsageEventRow.agent) == receipt.agent,
        )
        .order_by(col(UsageEventRow.sequence))
    )
    return [decode_event(row.document) for row in rows]


def add_agreement_reads(
    tx: Transaction, agreements: Iterable[str], receipt: str, time: datetime
) -> None:
    """Note which agreements a read rests on."""
    for agreement in agreements:
        if tx.get(AgreementReadRow, (agreement, receipt)) is None:
            tx.add(AgreementReadRow(agreement=agreement, receipt=receipt, time=time))
    tx.flush()


def first_reads(tx: Transaction, agreements: Iterable[str]) -> dict[str, datetime]:
    """When each agreement first was read under, of those that were."""
    rows = tx.exec(
        select(AgreementReadRow.agreement, func.min(AgreementReadRow.time))
        .where(col(AgreementReadRow.agreement).in_(list(agreements)))
        .group_by(col(AgreementReadRow.agreement))
    )
    return dict(rows.all())


def count_receipts(tx: Transaction) -> int:
    """How many receipts are stored."""
    return tx.exec(select(func.count()).select_from(ReceiptRow)).one()
