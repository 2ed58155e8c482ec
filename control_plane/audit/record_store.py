"""Reads the records of logs as they are stored, byte for byte."""

from collections.abc import Iterator

from sqlalchemy import func
from sqlmodel import col, select

from control_plane.audit.rules import Receipt, Stored
from control_plane.audit.store import UsageEventRow
from control_plane.database import Transaction


def stored(tx: Transaction, domain: str, agent: str, after: int, until: int) -> dict[int, Stored]:
    """What is stored of the records after one up to another, by sequence."""
    rows = tx.exec(
        select(
            UsageEventRow.sequence, UsageEventRow.stored, func.length(UsageEventRow.document)
        ).where(
            UsageEventRow.domain == domain,
            UsageEventRow.agent == agent,
            UsageEventRow.sequence > after,
            UsageEventRow.sequence <= until,
        )
    )
    return {sequence: Stored(time, size) for sequence, time, size in rows}


def documents(tx: Transaction, domain: str, agent: str, first: int, last: int) -> dict[int, bytes]:
    """The records from one to another, by sequence."""
    rows = tx.exec(
        select(UsageEventRow.sequence, UsageEventRow.document).where(
            UsageEventRow.domain == domain,
            UsageEventRow.agent == agent,
            UsageEventRow.sequence >= first,
            UsageEventRow.sequence <= last,
        )
    )
    return {sequence: bytes(document) for sequence, document in rows}


def of_receipt(tx: Transaction, receipt: Receipt) -> dict[int, bytes]:
    """The receipt's records, by sequence."""
    rows = tx.exec(
        select(UsageEventRow.sequence, UsageEventRow.document)
        .where(
            UsageEventRow.receipt == receipt.id,
            UsageEventRow.domain == receipt.domain,
            UsageEventRow.agent == receipt.agent,
        )
        .order_by(col(UsageEventRow.sequence))
    )
    return {sequence: bytes(document) for sequence, document in rows}


def first_after(tx: Transaction, domain: str, agent: str, sequence: int) -> int | None:
    """The first record after one that is stored; None without any."""
    return tx.exec(
        select(func.min(UsageEventRow.sequence)).where(
            UsageEventRow.domain == domain,
            UsageEventRow.agent == agent,
            UsageEventRow.sequence > sequence,
        )
    ).one()


def sequences_after(tx: Transaction, domain: str, agent: str, sequence: int) -> Iterator[int]:
    """The sequences of the records after one that are stored."""
    yield from tx.exec(
        select(UsageEventRow.sequence).where(
            UsageEventRow.domain == domain,
            UsageEventRow.agent == agent,
            UsageEventRow.sequence > sequence,
        )
    )
