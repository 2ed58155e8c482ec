"""The policies' tables: what was pushed for each layer, what of it is in force, and since when.

Modules are kept for ever by the digest of their layer, and so is which layers an assembled policy
was made of: any decision can be made again.
"""

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import JSON, BigInteger, Column, update
from sqlmodel import Field, SQLModel, col, select

from control_plane.database import Instant, Transaction
from control_plane.policies.rules import (
    LIBRARY,
    ORGANISATION,
    Activation,
    AssembledPolicy,
    LayerState,
    Origin,
    PolicyRevision,
    assembled,
    layer_of,
)
from mesh.decisions.policy import Policy


class PolicyModuleRow(SQLModel, table=True):
    __tablename__ = "policy_module"
    digest: str = Field(primary_key=True)
    path: str = Field(primary_key=True)
    text: str


class PolicyRevisionRow(SQLModel, table=True):
    __tablename__ = "policy_revision"
    revision: int = Field(primary_key=True, sa_type=BigInteger)
    layer: str
    digest: str
    author: str
    time: datetime = Field(sa_column=Column(Instant, nullable=False))
    commit_id: str
    dirty: bool
    message: str
    based_on: int = Field(sa_type=BigInteger)
    checks: list[list[str]] = Field(sa_column=Column(JSON, nullable=False))


class PolicyLayerRow(SQLModel, table=True):
    __tablename__ = "policy_layer"
    layer: str = Field(primary_key=True)
    active: int = Field(sa_type=BigInteger)
    staged: int = Field(sa_type=BigInteger)
    agents: list[str] = Field(sa_column=Column(JSON, nullable=False))


class PolicyActivationRow(SQLModel, table=True):
    __tablename__ = "policy_activation"
    revision: int = Field(primary_key=True, sa_type=BigInteger)
    digest: str
    activated: datetime = Field(sa_column=Column(Instant, nullable=False))
    layer: str
    chosen: int = Field(sa_type=BigInteger)
    kind: str
    actor: str
    agents: list[str] = Field(sa_column=Column(JSON, nullable=False))
    accepted: list[str] = Field(sa_column=Column(JSON, nullable=False))


class PolicyAssemblyRow(SQLModel, table=True):
    """Which layers, by their digests, make the policy of a digest; empty where there is none."""

    __tablename__ = "policy_assembly"
    digest: str = Field(primary_key=True)
    library: str
    organisation: str
    domain: str
    revision: int = Field(sa_type=BigInteger)
    activated: datetime = Field(sa_column=Column(Instant, nullable=False))


def add(tx: Transaction, revision: PolicyRevision, layer: Policy) -> None:
    """Store what was pushed."""
    for path, text in layer.modules.items():
        if tx.get(PolicyModuleRow, (layer.digest, path)) is None:
            tx.add(PolicyModuleRow(digest=layer.digest, path=path, text=text))
    tx.add(
        PolicyRevisionRow(
            revision=revision.revision,
            layer=revision.layer,
            digest=revision.digest,
            author=revision.author,
            time=revision.time,
            commit_id=revision.origin.commit,
            dirty=revision.origin.dirty,
            message=revision.origin.message,
            based_on=revision.based_on,
            checks=[[name, outcome] for name, outcome in revision.checks.items()],
        )
    )
    tx.flush()


def find(tx: Transaction, revision: int) -> PolicyRevision | None:
    """What was pushed at a revision."""
    row = tx.get(PolicyRevisionRow, revision)
    return None if row is None else _revision(row)


def page(tx: Transaction, layer: str, before: int | None, limit: int) -> list[PolicyRevision]:
    """What was pushed, for a layer or for all, newest first, before a revision."""
    query = select(PolicyRevisionRow)
    if layer:
        query = query.where(PolicyRevisionRow.layer == layer)
    if before is not None:
        query = query.where(PolicyRevisionRow.revision < before)
    rows = tx.exec(query.order_by(col(PolicyRevisionRow.revision).desc()).limit(limit))
    return [_revision(row) for row in rows]


def modules(tx: Transaction, revision: int) -> Policy | None:
    """A revision's modules with their tests; None for revision 0, which has none."""
    row = tx.get(PolicyRevisionRow, revision) if revision else None
    return None if row is None else _layer(tx, row.digest)


def state(tx: Transaction, layer: str) -> LayerState:
    """What of a layer is in force."""
    row = tx.get(PolicyLayerRow, layer, populate_existing=True)
    if row is None:
        return LayerState(layer)
    return LayerState(layer, row.active, row.staged, frozenset(row.agents))


def states(tx: Transaction) -> dict[str, LayerState]:
    """The layers of which something was ever in force."""
    return {
        row.layer: LayerState(row.layer, row.active, row.staged, frozenset(row.agents))
        for row in tx.exec(select(PolicyLayerRow))
    }


def put_state(tx: Transaction, now_in_force: LayerState) -> None:
    """Store what of a layer is in force."""
    tx.merge(
        PolicyLayerRow(
            layer=now_in_force.layer,
            active=now_in_force.active,
            staged=now_in_force.staged,
            agents=sorted(now_in_force.agents),
        )
    )
    tx.flush()


def activate(tx: Transaction, activation: Activation, digest: str) -> None:
    """Add a line to a layer's history; the digest is of the modules that it put in force."""
    tx.add(
        PolicyActivationRow(
            revision=activation.revision,
            digest=digest,
            activated=activation.time,
            layer=activation.layer,
            chosen=activation.chosen,
            kind=activation.kind,
            actor=activation.actor,
            agents=list(activation.agents),
            accepted=list(activation.accepted),
        )
    )
    tx.flush()


def history(tx: Transaction, layer: str, limit: int) -> list[Activation]:
    """What was put in force, of a layer or of all, newest first."""
    query = select(PolicyActivationRow)
    if layer:
        query = query.where(PolicyActivationRow.layer == layer)
    rows = tx.exec(query.order_by(col(PolicyActivationRow.revision).desc()).limit(limit))
    return [
        Activation(
            revision=row.revision,
            layer=row.layer,
            chosen=row.chosen,
            kind=row.kind,
            actor=row.actor,
            time=row.activated,
            agents=tuple(row.agents),
            accepted=tuple(row.accepted),
        )
        for row in rows
    ]


def would_be(tx: Transaction, domain: str, agent: str, candidate: PolicyRevision) -> Policy | None:
    """The policy that an agent would decide with, were the candidate in force."""
    names = (LIBRARY, ORGANISATION, layer_of(domain))
    numbers = chosen(tx, domain, agent)
    return _put_together(
        modules(tx, candidate.revision if name == candidate.layer else number)
        for name, number in zip(names, numbers, strict=True)
    )


def was_active(tx: Transaction, revision: int) -> bool:
    """Whether a revision was ever in force."""
    past = select(PolicyActivationRow.revision).where(PolicyActivationRow.chosen == revision)
    return tx.exec(past.limit(1)).first() is not None


def in_force(tx: Transaction, domain: str, agent: str = "") -> Policy | None:
    """The policy that a domain's agents decide with, or one of them (`domain/id`).

    None before a library was ever active. A domain without a layer has that of no domain.
    """
    return _put_together(modules(tx, one) for one in chosen(tx, domain, agent))


def staged_agents(tx: Transaction, domain: str) -> frozenset[str]:
    """The agents of a domain that decide with something else than the others, as `domain/id`."""
    return frozenset(
        agent
        for one in states(tx).values()
        for agent in one.agents
        if agent.startswith(f"{domain}/")
    )


def note_assembly(tx: Transaction, domain: str, agent: str, revision: int, now: datetime) -> None:
    """Remember of which layers the policy in force is made, so that it is found by its digest."""
    layers = [modules(tx, one) for one in chosen(tx, domain, agent)]
    policy = _put_together(layers)
    if policy is None:
        return
    library, organisation, own = ("" if one is None else one.digest for one in layers)
    tx.merge(
        PolicyAssemblyRow(
            digest=policy.digest,
            library=library,
            organisation=organisation,
            domain=own,
            revision=revision,
            activated=now,
        )
    )
    tx.flush()


def find_assembly(tx: Transaction, digest: str) -> AssembledPolicy | None:
    """The policy of a digest, with when it last came into force."""
    row = tx.get(PolicyAssemblyRow, digest)
    if row is None:
        return None
    digests = (row.library, row.organisation, row.domain)
    policy = assembled(tuple(_layer(tx, one) if one else None for one in digests))
    return AssembledPolicy(policy, row.revision, row.activated)


def erase_principal(tx: Transaction, principal: str, blank: str) -> None:
    """Put something else where an author's or an actor's name stood."""
    pushed = col(PolicyRevisionRow.author) == principal
    tx.execute(update(PolicyRevisionRow).where(pushed).values(author=blank))
    acted = col(PolicyActivationRow.actor) == principal
    tx.execute(update(PolicyActivationRow).where(acted).values(actor=blank))


def chosen(tx: Transaction, domain: str, agent: str) -> tuple[int, int, int]:
    """The revisions of library, organisation and domain that an agent decides with."""
    return (
        state(tx, LIBRARY).chosen(agent),
        state(tx, ORGANISATION).chosen(agent),
        state(tx, layer_of(domain)).chosen(agent) if domain else 0,
    )


def _put_together(layers: Iterable[Policy | None]) -> Policy | None:
    """The policy of layers; None without a library, which comes first."""
    found = tuple(layers)
    return None if found[0] is None else assembled(found)


def _layer(tx: Transaction, digest: str) -> Policy:
    rows = tx.exec(select(PolicyModuleRow).where(PolicyModuleRow.digest == digest))
    return Policy({row.path: row.text for row in rows})


def _revision(row: PolicyRevisionRow) -> PolicyRevision:
    return PolicyRevision(
        revision=row.revision,
        layer=row.layer,
        digest=row.digest,
        author=row.author,
        time=row.time,
        origin=Origin(row.commit_id, row.dirty, row.message),
        based_on=row.based_on,
        checks={one[0]: one[1] for one in row.checks},
    )
