"""The policies' tables: modules by digest, kept for ever, and when each digest was activated."""

from datetime import datetime

from sqlalchemy import BigInteger, Column
from sqlmodel import Field, SQLModel, col, select

from control_plane.database import Instant, Transaction
from control_plane.policies.rules import ActivePolicy
from mesh.decisions.policy import Policy


class PolicyModuleRow(SQLModel, table=True):
    __tablename__ = "policy_module"
    digest: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    text: str


class PolicyActivationRow(SQLModel, table=True):
    __tablename__ = "policy_activation"
    revision: int = Field(primary_key=True, sa_type=BigInteger)
    digest: str
    activated: datetime = Field(sa_column=Column(Instant, nullable=False))


def add_modules(tx: Transaction, policy: Policy) -> None:
    """Store the modules of a policy, unless its digest is known."""
    for path, text in policy.modules.items():
        if tx.get(PolicyModuleRow, (policy.digest, path)) is None:
            tx.add(PolicyModuleRow(digest=policy.digest, path=path, text=text))
    tx.flush()


def activate(tx: Transaction, digest: str, revision: int, now: datetime) -> None:
    """Note that reads are decided with this policy from a revision on."""
    tx.add(PolicyActivationRow(revision=revision, digest=digest, activated=now))
    tx.flush()


def active(tx: Transaction) -> ActivePolicy | None:
    """The policy activated last."""
    return _latest(tx, None)


def find(tx: Transaction, digest: str) -> ActivePolicy | None:
    """The policy of a digest, with its latest activation."""
    return _latest(tx, digest)


def _latest(tx: Transaction, digest: str | None) -> ActivePolicy | None:
    query = select(PolicyActivationRow)
    if digest is not None:
        query = query.where(PolicyActivationRow.digest == digest)
    row = tx.exec(query.order_by(col(PolicyActivationRow.revision).desc()).limit(1)).first()
    if row is None:
        return None
    modules = tx.exec(select(PolicyModuleRow).where(PolicyModuleRow.digest == row.digest))
    policy = Policy({module.path: module.text for module in modules})
    return ActivePolicy(policy, row.revision, row.activated)
