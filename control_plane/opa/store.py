"""The OPAs' table: which bundle each has, as it last said."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, Column, delete
from sqlmodel import Field, SQLModel, col, select

from control_plane.database import Instant, Transaction
from control_plane.opa.revisions import Revision
from control_plane.opa.rules import KnownOpa, OpaStatus

# An OPA names itself anew at each start, so that old names would only heap up.
FORGOTTEN = timedelta(days=7)
MOST_OF_DOMAIN = 500


class OpaRow(SQLModel, table=True):
    __tablename__ = "opa"
    domain: str = Field(primary_key=True)
    id: str = Field(primary_key=True)
    reporter: str
    version: str
    revision: int | None = Field(sa_type=BigInteger)
    policy_digest: str
    problem: str
    heard: datetime = Field(sa_column=Column(Instant, nullable=False))


def note(tx: Transaction, opa: KnownOpa) -> None:
    """Store how an OPA is, and forget those of its domain that were silent for long, or too many.

    One that others name too is whose token says so last.
    """
    status = opa.status
    tx.merge(
        OpaRow(
            domain=opa.domain,
            id=status.id,
            reporter=opa.reporter,
            version=status.version,
            revision=None if status.bundle is None else status.bundle.number,
            policy_digest="" if status.bundle is None else status.bundle.policy_digest,
            problem=status.problem,
            heard=opa.heard,
        )
    )
    tx.flush()
    of_domain = col(OpaRow.domain) == opa.domain
    tx.execute(delete(OpaRow).where(of_domain, col(OpaRow.heard) < opa.heard - FORGOTTEN))
    latest = select(OpaRow.id).where(of_domain).order_by(col(OpaRow.heard).desc(), col(OpaRow.id))
    surplus = list(tx.exec(latest.offset(MOST_OF_DOMAIN)))
    if surplus:
        tx.execute(delete(OpaRow).where(of_domain, col(OpaRow.id).in_(surplus)))


def page(tx: Transaction, domain: str, after: str, limit: int) -> list[KnownOpa]:
    """OPAs by `domain/id`, after one."""
    name = col(OpaRow.domain) + "/" + col(OpaRow.id)
    query = select(OpaRow).where(name > after).order_by(name).limit(limit)
    if domain:
        query = query.where(OpaRow.domain == domain)
    return [_opa(row) for row in tx.exec(query)]


def _opa(row: OpaRow) -> KnownOpa:
    bundle = None if row.revision is None else Revision(row.revision, row.policy_digest)
    status = OpaStatus(row.id, row.version, bundle, row.problem)
    return KnownOpa(row.domain, row.reporter, status, row.heard)
