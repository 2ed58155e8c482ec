"""The audit's tables: usage events as they came, and receipts."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime

from sqlalchemy import BigInteger, Column, func, insert, update
from sqlmodel import Field, SQLModel, col, select

from control_plane.audit.rules import Receipt
from control_plane.database import Instant, Transaction
from mesh.evidence.codec import decode_event, encode_event
from mesh.evidence.events import UsageEvent


class UsageEventRow(SQLModel, table=True):
    __tablename__ = "usage_event"
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    id: str
    receipt: str
    document: bytes
    stored: datetime = Field(sa_column=Column(Instant, nullable=False))


class ReceiptRow(SQLModel, table=True):
    __tablename__ = "receipt"
    id: str = Field(primary_key=True)
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    state: str
    actor: str
    key: str


def stored_sequence(tx: Transaction, domain: str, agent: str) -> int:
    """The last sequence stored of an agent; 0 before the first."""
    latest = tx.exec(
        select(func.max(UsageEventRow.sequence)).where(
            col(UsageEventRow.domain) == domain, col(UsageEventRow.agent) == agent
        )
    ).one()
    return latest or 0


def stored_events(
    tx: Transaction, domain: str, agent: str, sequences: Sequence[int]
) -> dict[int, bytes]:
    """The canonical form of an agent's events, by sequence, of those that are stored."""
    rows = tx.exec(
        select(UsageEventRow.sequence, UsageEventRow.document).where(
            UsageEventRow.domain == domain,
            UsageEventRow.agent == agent,
            col(UsageEventRow.sequence).in_(sequences),
        )
    )
    return dict(rows.all())


def stored_ids(tx: Transaction, domain: str, agent: str, ids: Sequence[str]) -> dict[str, int]:
    """The sequences of an agent's events, by id, of those that are stored."""
    rows = tx.exec(
        select(UsageEventRow.id, UsageEventRow.sequence).where(
            UsageEventRow.domain == domain,
            UsageEventRow.agent == agent,
            col(UsageEventRow.id).in_(ids),
        )
    )
    return dict(rows.all())


def add_events(
    tx: Transaction, domain: str, agent: str, events: Sequence[UsageEvent], stored: datetime
) -> list[bytes]:
    """Store events byte for byte in their canonical form; these records."""
    records = [encode_event(event) for event in events]
    tx.execute(
        insert(UsageEventRow),
        [
            {
                "domain": domain,
                "agent": agent,
                "sequence": event.sequence,
                "id": event.id,
                "receipt": event.receipt,
                "document": record,
                "stored": stored,
            }
            for event, record in zip(events, records, strict=True)
        ],
    )
    return records


def add_receipts(tx: Transaction, receipts: Sequence[Receipt]) -> None:
    """Store new receipts."""
    if receipts:
        tx.execute(insert(ReceiptRow), [asdict(receipt) for receipt in receipts])


def move_receipts(tx: Transaction, receipts: Sequence[Receipt]) -> None:
    """Store the new states of known receipts."""
    if receipts:
        states = [
            {"id": one.id, "domain": one.domain, "agent": one.agent, "state": one.state}
            for one in receipts
        ]
        tx.execute(update(ReceiptRow), states)


def known_receipts(tx: Transaction, domain: str, agent: str, ids: Sequence[str]) -> frozenset[str]:
    """The ids of an agent's receipts, of those that are stored."""
    rows = tx.exec(
        select(ReceiptRow.id).where(
            ReceiptRow.domain == domain, ReceiptRow.agent == agent, col(ReceiptRow.id).in_(ids)
        )
    )
    return frozenset(rows)


def receipts_of(tx: Transaction, receipt_id: str) -> list[Receipt]:
    """Every agent's receipt of that id."""
    rows = tx.exec(
        select(ReceiptRow)
        .where(ReceiptRow.id == receipt_id)
        .order_by(col(ReceiptRow.domain), col(ReceiptRow.agent))
    )
    return [_receipt(row) for row in rows]


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


def count_receipts(tx: Transaction) -> int:
    """How many receipts are stored."""
    return tx.exec(select(func.count()).select_from(ReceiptRow)).one()


def unattributed(
    tx: Transaction, domain: str, agent: str, keys: Sequence[str], limit: int
) -> list[Receipt]:
    """An agent's receipts whose actor is sealed with one of those keys, and not known yet."""
    rows = tx.exec(
        select(ReceiptRow)
        .where(
            ReceiptRow.domain == domain,
            ReceiptRow.agent == agent,
            ReceiptRow.actor == "",
            col(ReceiptRow.key).in_(keys),
        )
        .order_by(col(ReceiptRow.id))
        .limit(limit)
    )
    return [_receipt(row) for row in rows]


def first_events(
    tx: Transaction, domain: str, agent: str, receipts: Sequence[str]
) -> list[UsageEvent]:
    """The events that began an agent's receipts."""
    rows = tx.exec(
        select(UsageEventRow.document).where(
            UsageEventRow.domain == domain,
            UsageEventRow.agent == agent,
            col(UsageEventRow.id).in_(receipts),
        )
    )
    return [decode_event(document) for document in rows]


def set_actors(tx: Transaction, domain: str, agent: str, actors: Mapping[str, str]) -> None:
    """Name who read, by receipt."""
    rows = [
        {"id": receipt, "domain": domain, "agent": agent, "actor": actor}
        for receipt, actor in actors.items()
    ]
    if rows:
        tx.execute(update(ReceiptRow), rows)


def blank_actor(tx: Transaction, actor: str, blank: str) -> None:
    """Put something else where a name stood."""
    tx.execute(update(ReceiptRow).where(col(ReceiptRow.actor) == actor).values(actor=blank))


def _receipt(row: ReceiptRow) -> Receipt:
    return Receipt(row.id, row.domain, row.agent, row.state, row.actor, row.key)
