"""Which agents enforce an agreement's latest change, and when the others refuse by themselves."""

from datetime import datetime

from control_plane.agents import acknowledgement_store as acknowledgements
from control_plane.agents import store
from control_plane.agents.rules import EnrolledAgent
from control_plane.agreements.rules import Enforcement
from control_plane.contracts import store as contracts
from control_plane.database import Transaction
from mesh.agreements.values import Agreement
from mesh.contracts.values import Classification, mildest


def enforcements(tx: Transaction, agreement: Agreement, now: datetime) -> list[Enforcement]:
    """One for each agent of the domain, by id."""
    acknowledged = acknowledgements.acknowledged(tx, agreement.domain, agreement.revision)
    return [
        Enforcement(
            agent=f"{agent.domain}/{agent.id}",
            acknowledged=acknowledged.get(agent.id),
            lease_end=agent.lease_end(agreement.revision, _class(tx, agreement, agent)),
            seen=now,
        )
        for agent in store.of_domain(tx, agreement.domain, now)
    ]


def _class(tx: Transaction, agreement: Agreement, agent: EnrolledAgent) -> Classification:
    """The mildest dataset's that the agreement covers, as that is what an agent serves longest.

    By any contract that an agent may go by which acknowledged no more than this one.
    """
    found = contracts.since(tx, agreement.domain, agreement.product, agent.acknowledged_revision)
    return mildest(
        dataset.classification
        for contract in found
        for dataset in contract.datasets
        if dataset.name in agreement.datasets
    )
