"""The tables of rehearsals: who was asked, and what they found."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy import JSON, BigInteger, Column, update
from sqlmodel import Field, SQLModel, col, select

from control_plane.database import Instant, Transaction
from control_plane.policies.rehearsals import AgentRehearsal, Rehearsal
from mesh.v1 import agents_pb2
from mesh.wire.rehearsals import finding_from_proto, finding_to_proto

# An agent that comes back later than that is not asked any more.
_ASKED = timedelta(hours=1)


class RehearsalRow(SQLModel, table=True):
    __tablename__ = "rehearsal"
    id: str = Field(primary_key=True)
    revision: int = Field(sa_type=BigInteger, index=True)
    starter: str
    started: datetime = Field(sa_column=Column(Instant, nullable=False))


class RehearsalAgentRow(SQLModel, table=True):
    """The findings are serialised RehearsalFindings, in hexadecimal."""

    __tablename__ = "rehearsal_agent"
    rehearsal: str = Field(primary_key=True)
    agent: str = Field(primary_key=True)
    digest: str
    base: str
    reported: bool
    distinct_inputs: int = Field(sa_type=BigInteger)
    reads: int = Field(sa_type=BigInteger)
    unreadable: int = Field(sa_type=BigInteger)
    more: int = Field(sa_type=BigInteger)
    problem: str
    findings: list[str] = Field(sa_column=Column(JSON, nullable=False))


def add(tx: Transaction, rehearsal: Rehearsal) -> None:
    """Store a rehearsal that begins."""
    tx.add(
        RehearsalRow(
            id=rehearsal.id,
            revision=rehearsal.revision,
            starter=rehearsal.starter,
            started=rehearsal.started,
        )
    )
    for agent in rehearsal.agents:
        put(tx, rehearsal.id, agent)
    tx.flush()


def put(tx: Transaction, rehearsal: str, agent: AgentRehearsal) -> None:
    """Store how an agent does."""
    tx.merge(
        RehearsalAgentRow(
            rehearsal=rehearsal,
            agent=agent.agent,
            digest=agent.digest,
            base=agent.base,
            reported=agent.reported,
            distinct_inputs=agent.distinct,
            reads=agent.reads,
            unreadable=agent.unreadable,
            more=agent.more,
            problem=agent.problem,
            findings=[finding_to_proto(one).SerializeToString().hex() for one in agent.findings],
        )
    )
    tx.flush()


def newest(tx: Transaction, revision: int) -> Rehearsal | None:
    """The latest rehearsal of a revision."""
    row = tx.exec(
        select(RehearsalRow)
        .where(RehearsalRow.revision == revision)
        .order_by(col(RehearsalRow.started).desc(), col(RehearsalRow.id).desc())
        .limit(1)
    ).first()
    return None if row is None else _rehearsal(tx, row)


def find(tx: Transaction, rehearsal: str) -> Rehearsal | None:
    """The rehearsal of an id."""
    row = tx.get(RehearsalRow, rehearsal)
    return None if row is None else _rehearsal(tx, row)


def asked(tx: Transaction, domain: str, now: datetime) -> Mapping[str, Sequence[tuple[str, str]]]:
    """Rehearsals that agents of a domain have not reported on, by agent: id and digest."""
    rows = tx.exec(
        select(RehearsalAgentRow, RehearsalRow)
        .where(
            RehearsalAgentRow.rehearsal == RehearsalRow.id,
            col(RehearsalAgentRow.reported).is_(False),
            col(RehearsalAgentRow.agent).startswith(f"{domain}/", autoescape=True),
            RehearsalRow.started > now - _ASKED,
        )
        .order_by(col(RehearsalRow.started))
    )
    found: dict[str, list[tuple[str, str]]] = {}
    for agent, _ in rows:
        found.setdefault(agent.agent, []).append((agent.rehearsal, agent.digest))
    return found


def _rehearsal(tx: Transaction, row: RehearsalRow) -> Rehearsal:
    agents = tx.exec(
        select(RehearsalAgentRow)
        .where(RehearsalAgentRow.rehearsal == row.id)
        .order_by(RehearsalAgentRow.agent)
    )
    return Rehearsal(
        id=row.id,
        revision=row.revision,
        starter=row.starter,
        started=row.started,
        agents=tuple(_agent(one) for one in agents),
    )


def _agent(row: RehearsalAgentRow) -> AgentRehearsal:
    messages = [agents_pb2.RehearsalFinding.FromString(bytes.fromhex(x)) for x in row.findings]
    return AgentRehearsal(
        agent=row.agent,
        digest=row.digest,
        base=row.base,
        reported=row.reported,
        distinct=row.distinct_inputs,
        reads=row.reads,
        unreadable=row.unreadable,
        more=row.more,
        problem=row.problem,
        findings=tuple(finding_from_proto(one) for one in messages),
    )


def erase_principal(tx: Transaction, principal: str, blank: str) -> None:
    """Take a principal out of every finding, and out of who asked for a rehearsal."""
    asked_by = col(RehearsalRow.starter) == principal
    tx.execute(update(RehearsalRow).where(asked_by).values(starter=blank))
    for row in tx.exec(select(RehearsalAgentRow).where(RehearsalAgentRow.reported)).all():
        agent = _agent(row)
        if any(one.principal == principal for one in agent.findings):
            findings = [
                replace(one, principal=blank) if one.principal == principal else one
                for one in agent.findings
            ]
            put(tx, row.rehearsal, replace(agent, findings=tuple(findings)))
