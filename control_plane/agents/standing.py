"""How the agents are, as other slices ask."""

from collections.abc import Callable
from datetime import datetime

from control_plane.agents import acknowledgement_store as acknowledgements
from control_plane.agents import store
from control_plane.database import Transaction
from control_plane.policies.fleet import AgentStanding


def standings(tx: Transaction, now: datetime) -> list[AgentStanding]:
    """Every enrolled agent, by domain and id."""
    return [
        AgentStanding(
            domain=agent.domain,
            id=agent.id,
            connected=agent.connected,
            acknowledged_revision=agent.acknowledged_revision,
            refusal=agent.refusal,
            reported_digest=agent.report.policy_digest,
            enforced_since=_enforced_since(tx, agent.domain, agent.id),
        )
        for agent in store.page(tx, "", "", now, None)
    ]


def _enforced_since(tx: Transaction, domain: str, agent: str) -> Callable[[int], datetime | None]:
    return lambda revision: acknowledgements.enforced_by(tx, domain, agent, revision)
