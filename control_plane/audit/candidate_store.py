"""The table of other records that came under sequences that something is stored under."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import BigInteger, Column, delete, func
from sqlmodel import Field, SQLModel, col, select

from control_plane.audit.arrivals import AgentName
from control_plane.audit.chains import MOST_OF_SEQUENCE
from control_plane.bulk import insert_missing_rows
from control_plane.database import Instant, Transaction
from mesh.evidence.codec import Recorded
from mesh.evidence.merkle import leaf_hash

MOST_OF_AGENT = 5_000


class CandidateRecordRow(SQLModel, table=True):
    """`displaced` are those that were stored until a checkpoint showed that they are wrong."""

    __tablename__ = "candidate_record"
    domain: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    sequence: int = Field(primary_key=True, sa_type=BigInteger)
    leaf: bytes = Field(primary_key=True)
    document: bytes
    displaced: bool
    noticed: datetime = Field(sa_column=Column(Instant, nullable=False))


def keep(tx: Transaction, name: AgentName, events: Sequence[Recorded], now: datetime) -> None:
    """Keep what else came under sequences, a few of each."""
    if not events:
        return
    counts = _counts(tx, name, [one.event.sequence for one in events])
    room = MOST_OF_AGENT - _total(tx, name)
    kept: list[Recorded] = []
    for one in events:
        sequence = one.event.sequence
        if counts.get(sequence, 0) < MOST_OF_SEQUENCE and len(kept) < room:
            counts[sequence] = counts.get(sequence, 0) + 1
            kept.append(one)
    _add(tx, name, [one.record for one in kept], [one.event.sequence for one in kept], now, False)


def displace(tx: Transaction, name: AgentName, records: dict[int, bytes], now: datetime) -> None:
    """Keep what was stored under sequences, and is shown wrong."""
    _add(tx, name, list(records.values()), list(records), now, True)


def found(tx: Transaction, name: AgentName, after: int, until: int) -> dict[int, list[bytes]]:
    """The other records of the sequences after one up to another, as they came."""
    rows = tx.exec(
        select(CandidateRecordRow.sequence, CandidateRecordRow.document)
        .where(
            CandidateRecordRow.domain == name.domain,
            CandidateRecordRow.agent == name.agent,
            CandidateRecordRow.sequence > after,
            CandidateRecordRow.sequence <= until,
            col(CandidateRecordRow.displaced).is_(False),
        )
        .order_by(
            col(CandidateRecordRow.sequence),
            col(CandidateRecordRow.noticed),
            col(CandidateRecordRow.leaf),
        )
    )
    records: dict[int, list[bytes]] = {}
    for sequence, document in rows:
        records.setdefault(sequence, []).append(bytes(document))
    return records


def is_open(tx: Transaction, name: AgentName) -> bool:
    """Whether it is open which record of a sequence is the agent's."""
    return name in disputed(tx)


def disputed(tx: Transaction) -> list[AgentName]:
    """The agents of which it is open which record of a sequence is theirs."""
    rows = tx.exec(
        select(CandidateRecordRow.domain, CandidateRecordRow.agent)
        .where(col(CandidateRecordRow.displaced).is_(False))
        .distinct()
    )
    return [AgentName(domain, agent) for domain, agent in rows]


def drop(tx: Transaction, name: AgentName, until: int) -> None:
    """Keep no longer what is decided; what was stored once stays."""
    tx.execute(
        delete(CandidateRecordRow).where(
            col(CandidateRecordRow.domain) == name.domain,
            col(CandidateRecordRow.agent) == name.agent,
            col(CandidateRecordRow.sequence) <= until,
            col(CandidateRecordRow.displaced).is_(False),
        )
    )


def _add(
    tx: Transaction,
    name: AgentName,
    records: Sequence[bytes],
    sequences: Sequence[int],
    now: datetime,
    displaced: bool,
) -> None:
    rows = [
        {
            "domain": name.domain,
            "agent": name.agent,
            "sequence": sequence,
            "leaf": leaf_hash(record),
            "document": record,
            "displaced": displaced,
            "noticed": now,
        }
        for sequence, record in zip(sequences, records, strict=True)
    ]
    insert_missing_rows(tx, CandidateRecordRow, rows)


def _counts(tx: Transaction, name: AgentName, sequences: Sequence[int]) -> dict[int, int]:
    rows = tx.exec(
        select(CandidateRecordRow.sequence, func.count())
        .where(
            CandidateRecordRow.domain == name.domain,
            CandidateRecordRow.agent == name.agent,
            col(CandidateRecordRow.sequence).in_(sequences),
        )
        .group_by(col(CandidateRecordRow.sequence))
    )
    return dict(rows.all())


def _total(tx: Transaction, name: AgentName) -> int:
    return tx.exec(
        select(func.count())
        .select_from(CandidateRecordRow)
        .where(CandidateRecordRow.domain == name.domain, CandidateRecordRow.agent == name.agent)
    ).one()
