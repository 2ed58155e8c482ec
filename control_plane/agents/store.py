"""The agents' tables: who is enrolled, which leases they may hold, and open join tokens."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column
from sqlalchemy import update as sql_update
from sqlmodel import Field, SQLModel, col, select

from control_plane.agents import acknowledgement_store as acknowledgements
from control_plane.agents.rules import (
    Acknowledgement,
    AgentReport,
    EnrolledAgent,
    Given,
    JoinToken,
    Session,
)
from control_plane.database import Instant, Transaction
from control_plane.replicas import store as replicas
from mesh.contracts.values import Classification
from mesh.times import parse_rfc3339, rfc3339_micros


class AgentRow(SQLModel, table=True):
    __tablename__ = "agent"
    domain: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    public_key: bytes
    enrolled: datetime = Field(sa_column=Column(Instant, nullable=False))
    contact: datetime = Field(sa_column=Column(Instant, nullable=False))
    session: str | None = None
    session_replica: str | None = None
    session_until: datetime | None = Field(default=None, sa_column=Column(Instant))
    acknowledged_revision: int = Field(default=0, sa_type=BigInteger)
    refusal: str = ""
    flight_uri: str = ""
    version: str = ""
    products: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    spooled_events: int = Field(default=0, sa_type=BigInteger)
    policy_digest: str = ""
    given: list[list[Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))


class JoinTokenRow(SQLModel, table=True):
    __tablename__ = "join_token"
    hash: bytes = Field(primary_key=True)
    domain: str
    expires: datetime = Field(sa_column=Column(Instant, nullable=False))
    used_by: bytes | None


def add_join_token(tx: Transaction, token_hash: bytes, domain: str, expires: datetime) -> None:
    """Store a join token by its hash."""
    tx.add(JoinTokenRow(hash=token_hash, domain=domain, expires=expires, used_by=None))
    tx.flush()


def find_join_token(tx: Transaction, token_hash: bytes) -> JoinToken | None:
    """The join token of that hash."""
    row = tx.get(JoinTokenRow, token_hash)
    return None if row is None else JoinToken(row.domain, row.expires, row.used_by)


def use_join_token(tx: Transaction, token_hash: bytes, public_key: bytes) -> None:
    """Note which key used a join token."""
    row = tx.get_one(JoinTokenRow, token_hash)
    row.used_by = public_key
    tx.add(row)
    tx.flush()


def add(tx: Transaction, domain: str, agent: str, public_key: bytes, now: datetime) -> None:
    """Store a newly enrolled agent."""
    tx.add(AgentRow(domain=domain, id=agent, public_key=public_key, enrolled=now, contact=now))
    tx.flush()


def find(tx: Transaction, domain: str, agent: str, now: datetime) -> EnrolledAgent | None:
    """The agent of that id."""
    row = tx.get(AgentRow, (domain, agent))
    return None if row is None else _agent(tx, row, now)


def public_key(tx: Transaction, domain: str, agent: str) -> bytes:
    """The key that an enrolled agent signs with, 32 bytes."""
    return tx.get_one(AgentRow, (domain, agent)).public_key


def page(
    tx: Transaction, domain: str, after: str, now: datetime, limit: int | None
) -> list[EnrolledAgent]:
    """Agents by `domain/id`, after one."""
    name = col(AgentRow.domain) + "/" + col(AgentRow.id)
    query = select(AgentRow).where(name > after).order_by(name)
    if domain:
        query = query.where(AgentRow.domain == domain)
    return [_agent(tx, row, now) for row in tx.exec(query.limit(limit)).all()]


def of_domain(tx: Transaction, domain: str, now: datetime) -> list[EnrolledAgent]:
    """Every agent of a domain, by id."""
    query = select(AgentRow).where(AgentRow.domain == domain).order_by(col(AgentRow.id))
    return [_agent(tx, row, now) for row in tx.exec(query).all()]


def flight_uris(tx: Transaction, domain: str) -> list[str]:
    """Where the agents of a domain are reached, most recently heard first."""
    query = (
        select(AgentRow.flight_uri)
        .where(AgentRow.domain == domain, AgentRow.flight_uri != "")
        .order_by(col(AgentRow.contact).desc())
    )
    return list(tx.exec(query))


def open_session(tx: Transaction, domain: str, agent: str, session: Session, now: datetime) -> None:
    """Make a session the agent's only one."""
    row = tx.get_one(AgentRow, (domain, agent))
    row.session, row.session_replica, row.session_until = session.id, session.replica, session.until
    row.contact = now
    tx.add(row)
    tx.flush()


def keep_session(tx: Transaction, domain: str, agent: str, session: str, until: datetime) -> bool:
    """Prolong a session; whether it still is the agent's."""
    row = tx.get_one(AgentRow, (domain, agent))
    if row.session != session:
        return False
    row.session_until = until
    tx.add(row)
    tx.flush()
    return True


def given(tx: Transaction, domain: str, agent: str) -> tuple[Given, ...]:
    """The leases that an agent may hold."""
    return _given(tx.get_one(AgentRow, (domain, agent)))


def note_given(tx: Transaction, domain: str, agent: str, leases: Sequence[Given]) -> None:
    """Note which leases an agent may hold, before it is given them."""
    row = tx.get_one(AgentRow, (domain, agent))
    row.given = [
        [one.revision, {name.value: rfc3339_micros(end) for name, end in one.ends.items()}]
        for one in leases
    ]
    tx.add(row)
    tx.flush()


def close_session(tx: Transaction, domain: str, agent: str, session: str) -> None:
    """End a session, unless another has taken its place."""
    tx.execute(
        sql_update(AgentRow)
        .where(
            col(AgentRow.domain) == domain,
            col(AgentRow.id) == agent,
            col(AgentRow.session) == session,
        )
        .values(**_NO_SESSION)
    )


def close_sessions_of(tx: Transaction, replica: str) -> None:
    """End what an earlier process of a replica left open."""
    tx.execute(
        sql_update(AgentRow).where(col(AgentRow.session_replica) == replica).values(**_NO_SESSION)
    )


def sessions_of(tx: Transaction, replica: str) -> frozenset[str]:
    """The sessions that agents have with a replica."""
    found = tx.exec(select(AgentRow.session).where(AgentRow.session_replica == replica))
    return frozenset(session for session in found if session is not None)


def acknowledge(
    tx: Transaction, domain: str, agent: str, told: Acknowledgement, now: datetime
) -> None:
    """Note that an agent enforces a revision."""
    row = tx.get_one(AgentRow, (domain, agent))
    row.acknowledged_revision = max(row.acknowledged_revision, told.revision)
    row.contact, row.refusal = now, ""
    tx.add(row)
    tx.flush()
    acknowledgements.add(tx, domain, agent, told, now)


def refuse(tx: Transaction, domain: str, agent: str, refusal: str, now: datetime) -> None:
    """Note why an agent refused the latest revision."""
    row = tx.get_one(AgentRow, (domain, agent))
    row.contact, row.refusal = now, refusal
    tx.add(row)
    tx.flush()


def report(tx: Transaction, domain: str, agent: str, reported: AgentReport, now: datetime) -> None:
    """Store how an agent says it is."""
    row = tx.get_one(AgentRow, (domain, agent))
    row.contact = now
    row.flight_uri, row.version = reported.flight_uri, reported.version
    row.products = [product.hex() for product in reported.products]
    row.spooled_events, row.policy_digest = reported.spooled_events, reported.policy_digest
    tx.add(row)
    tx.flush()


_NO_SESSION = {"session": None, "session_replica": None, "session_until": None}


def _is_connected(tx: Transaction, row: AgentRow, now: datetime) -> bool:
    """Whether the agent's session was prolonged in time, by a replica that still serves."""
    return (
        row.session_until is not None
        and row.session_until > now
        and row.session_replica is not None
        and replicas.serves(tx, row.session_replica, now)
    )


def _agent(tx: Transaction, row: AgentRow, now: datetime) -> EnrolledAgent:
    return EnrolledAgent(
        domain=row.domain,
        id=row.id,
        public_key=row.public_key,
        enrolled=row.enrolled,
        contact=row.contact,
        connected=_is_connected(tx, row, now),
        acknowledged_revision=row.acknowledged_revision,
        refusal=row.refusal,
        report=AgentReport(
            flight_uri=row.flight_uri,
            version=row.version,
            products=tuple(bytes.fromhex(product) for product in row.products),
            spooled_events=row.spooled_events,
            policy_digest=row.policy_digest,
        ),
        given=_given(row),
    )


def _given(row: AgentRow) -> tuple[Given, ...]:
    return tuple(
        Given(revision, {Classification(one): parse_rfc3339(end) for one, end in ends.items()})
        for revision, ends in row.given
    )


def names(tx: Transaction) -> list[tuple[str, str]]:
    """Every enrolled agent, by domain and id."""
    rows = tx.exec(select(AgentRow.domain, AgentRow.id).order_by(AgentRow.domain, AgentRow.id))
    return list(rows.all())
