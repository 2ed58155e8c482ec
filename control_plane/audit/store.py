"""The audit's tables: usage events as they came, and receipts."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, delete, func, update
from sqlmodel import Field, SQLModel, col, select

from control_plane.audit.rules import Receipt
from control_plane.bulk import among, insert_rows, update_rows
from control_plane.database import Instant, Transaction
from mesh.evidence.codec import Recorded, decode_event
from mesh.evidence.events import EventType, UsageEvent


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


_RECEIPT = ("id", "domain", "agent")


def stored_sequence(tx: Transaction, domain: str, agent: str) -> int:
    """The last sequence stored of an agent; 0 before the first."""
    # Not max(): without statistics PostgreSQL would look at the whole log for that.
    latest = tx.exec(
        select(UsageEventRow.sequence)
        .where(UsageEventRow.domain == domain, UsageEventRow.agent == agent)
        .order_by(col(UsageEventRow.sequence).desc())
        .limit(1)
    ).first()
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
            among(tx, col(UsageEventRow.id), ids),
        )
    )
    return dict(rows.all())


def add_events(
    tx: Transaction, domain: str, agent: str, events: Sequence[Recorded], now: datetime
) -> None:
    """Store consecutive events, their records byte for byte.

    When an event was stored never steps back along a log, whatever clocks do: a window of time is
    one stretch of it.
    """
    before, after = _stored_around(tx, domain, agent, events)
    stored = max(now, before or now)
    stored = min(stored, after or stored)
    rows = [
        {
            "domain": domain,
            "agent": agent,
            "sequence": event.sequence,
            "id": event.id,
            "receipt": event.receipt,
            "document": record,
            "stored": stored,
        }
        for event, record in events
    ]
    insert_rows(tx, UsageEventRow, rows)


def _stored_around(
    tx: Transaction, domain: str, agent: str, events: Sequence[Recorded]
) -> tuple[datetime | None, datetime | None]:
    """When the nearest events before and after these were stored, if there are any."""
    sequence = col(UsageEventRow.sequence)
    of_agent = (
        select(UsageEventRow.stored)
        .where(UsageEventRow.domain == domain, UsageEventRow.agent == agent)
        .limit(1)
    )
    first, last = events[0].event.sequence, events[-1].event.sequence
    before = of_agent.where(sequence < first).order_by(sequence.desc())
    after = of_agent.where(sequence > last).order_by(sequence)
    return tx.exec(before).first(), tx.exec(after).first()


def receipts_at(tx: Transaction, domain: str, agent: str, sequences: Sequence[int]) -> list[str]:
    """The receipts that an agent's events belong to."""
    rows = tx.exec(
        select(UsageEventRow.receipt).where(
            UsageEventRow.domain == domain,
            UsageEventRow.agent == agent,
            col(UsageEventRow.sequence).in_(sequences),
        )
    )
    return list(rows)


def drop_events(tx: Transaction, domain: str, agent: str, sequences: Sequence[int]) -> None:
    """Let events make room for others of their sequences."""
    tx.execute(
        delete(UsageEventRow).where(
            col(UsageEventRow.domain) == domain,
            col(UsageEventRow.agent) == agent,
            col(UsageEventRow.sequence).in_(sequences),
        )
    )


def add_receipts(tx: Transaction, receipts: Sequence[Receipt]) -> None:
    """Store new receipts."""
    rows = [
        {
            "id": one.id,
            "domain": one.domain,
            "agent": one.agent,
            "state": one.state,
            "actor": one.actor,
            "key": one.key,
        }
        for one in receipts
    ]
    insert_rows(tx, ReceiptRow, rows)


def move_receipts(tx: Transaction, receipts: Sequence[Receipt]) -> None:
    """Store the new states of known receipts."""
    states = [
        {"id": one.id, "domain": one.domain, "agent": one.agent, "state": one.state}
        for one in receipts
    ]
    update_rows(tx, ReceiptRow, _RECEIPT, states)


def known_receipts(tx: Transaction, domain: str, agent: str, ids: Sequence[str]) -> frozenset[str]:
    """The ids of an agent's receipts, of those that are stored."""
    rows = tx.exec(
        select(ReceiptRow.id).where(
            ReceiptRow.domain == domain,
            ReceiptRow.agent == agent,
            among(tx, col(ReceiptRow.id), ids),
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


def events_of_receipts(
    tx: Transaction, domain: str, agent: str, receipts: Sequence[str]
) -> list[UsageEvent]:
    """The events of an agent's receipts by sequence."""
    rows = tx.exec(
        select(UsageEventRow.document)
        .where(
            UsageEventRow.domain == domain,
            UsageEventRow.agent == agent,
            among(tx, col(UsageEventRow.receipt), receipts),
        )
        .order_by(col(UsageEventRow.sequence))
    )
    return [decode_event(document) for document in rows]


def count_receipts(tx: Transaction) -> int:
    """How many receipts are stored."""
    return tx.exec(select(func.count()).select_from(ReceiptRow)).one()


def count_running(tx: Transaction, domain: str, agent: str) -> int:
    """How many of an agent's reads have no end yet."""
    return tx.exec(
        select(func.count())
        .select_from(ReceiptRow)
        .where(
            ReceiptRow.domain == domain,
            ReceiptRow.agent == agent,
            ReceiptRow.state == EventType.STARTED.state,
        )
    ).one()


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
    update_rows(tx, ReceiptRow, _RECEIPT, rows)


def blank_actor(tx: Transaction, actor: str, blank: str) -> None:
    """Put something else where a name stood."""
    tx.execute(update(ReceiptRow).where(col(ReceiptRow.actor) == actor).values(actor=blank))


def _receipt(row: ReceiptRow) -> Receipt:
    return Receipt(row.id, row.domain, row.agent, row.state, row.actor, row.key)
