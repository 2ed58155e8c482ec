"""Forgetting what was made of an agent's log, so that it can be made again."""

from collections.abc import Sequence

from sqlalchemy import delete, or_, update
from sqlmodel import col, select

from control_plane.agreements.store import AgreementReadRow
from control_plane.audit.arrivals import AgentName
from control_plane.audit.checkpoint_store import CheckpointRow
from control_plane.audit.heads import Standing
from control_plane.audit.reads_store import DatasetReadRow
from control_plane.audit.store import ReceiptRow, UsageEventRow
from control_plane.audit.topic_store import (
    HeldEventRow,
    LogGapRow,
    RefusedCountRow,
    RefusedRecordRow,
)
from control_plane.audit.tree_store import LogRow, TileRow
from control_plane.bulk import among
from control_plane.database import Transaction
from control_plane.timeline.tables import EntryProductRow, EntryRow

_MADE_FROM_EVENTS = ("key.%", "pseudonym-key.%", "evidence.suspect")


def forget_log(tx: Transaction, name: AgentName) -> None:
    """Drop an agent's events and all that was found by them; its checkpoints wait for them."""
    domain, agent = name.domain, name.agent
    own = or_(
        (col(EntryRow.kind) == "read")
        & (col(EntryRow.domain) == domain)
        & (col(EntryRow.agent) == agent),
        (col(EntryRow.actor) == f"agent:{name}")
        & or_(*(col(EntryRow.action).like(action) for action in _MADE_FROM_EVENTS)),
    )
    entries = select(EntryRow.id).where(own)
    tx.execute(delete(EntryProductRow).where(col(EntryProductRow.entry).in_(entries)))
    tx.execute(delete(EntryRow).where(own))
    for row in (
        UsageEventRow,
        ReceiptRow,
        DatasetReadRow,
        AgreementReadRow,
        TileRow,
        HeldEventRow,
        LogGapRow,
    ):
        tx.execute(delete(row).where(col(row.domain) == domain, col(row.agent) == agent))
    tx.execute(
        update(LogRow)
        .where(col(LogRow.domain) == domain, col(LogRow.agent) == agent)
        .values(size=0, nodes=b"", verified_size=0, unfinished=0, problem="")
    )
    tx.execute(
        update(CheckpointRow)
        .where(col(CheckpointRow.domain) == domain, col(CheckpointRow.agent) == agent)
        .values(standing=Standing.PENDING)
    )


def forget_receipts(tx: Transaction, domain: str, agent: str, receipts: Sequence[str]) -> None:
    """Drop what an agent's receipts are found by; their events stay."""
    own = (
        (col(EntryRow.kind) == "read")
        & (col(EntryRow.domain) == domain)
        & (col(EntryRow.agent) == agent)
        & among(tx, col(EntryRow.reference), receipts)
    )
    entries = select(EntryRow.id).where(own)
    tx.execute(delete(EntryProductRow).where(col(EntryProductRow.entry).in_(entries)))
    tx.execute(delete(EntryRow).where(own))
    for row, receipt in (
        (ReceiptRow, col(ReceiptRow.id)),
        (DatasetReadRow, col(DatasetReadRow.receipt)),
        (AgreementReadRow, col(AgreementReadRow.receipt)),
    ):
        tx.execute(
            delete(row).where(
                col(row.domain) == domain,
                col(row.agent) == agent,
                among(tx, receipt, receipts),
            )
        )


def forget_refused(tx: Transaction, topic: str) -> None:
    """Drop the notes of records that were not taken from a topic; they come up again."""
    for row in (RefusedRecordRow, RefusedCountRow):
        tx.execute(delete(row).where(col(row.topic) == topic))
