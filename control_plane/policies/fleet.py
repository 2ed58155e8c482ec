"""Which agents decide with what, and how long they took."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from control_plane.database import Transaction
from control_plane.policies import rules, store
from control_plane.policies.rules import Activation
from mesh.v1 import policies_pb2
from mesh.wire.times import to_duration


@dataclass(frozen=True, slots=True)
class AgentStanding:
    """An agent as the control plane knows it; `enforced_since` tells when it took a revision."""

    domain: str
    id: str
    connected: bool
    acknowledged_revision: int
    refusal: str
    reported_digest: str
    enforced_since: Callable[[int], datetime | None]

    @property
    def name(self) -> str:
        return f"{self.domain}/{self.id}"


_LATEST = 500

# Every enrolled agent, by domain and id.
Fleet = Callable[[Transaction], Sequence[AgentStanding]]


def agents_to_proto(tx: Transaction, fleet: Fleet, wanted: int) -> list[policies_pb2.PolicyAgent]:
    """How each agent is with the latest change that it should have, or with a wanted one."""
    latest = store.history(tx, "", _LATEST)
    digests: dict[tuple[int, ...], str] = {}
    found = []
    for agent in fleet(tx):
        chosen = store.chosen(tx, agent.domain, agent.name)
        if chosen not in digests:
            policy = store.in_force(tx, agent.domain, agent.name)
            digests[chosen] = "" if policy is None else policy.digest
        found.append(_agent(agent, digests[chosen], _reaching(latest, agent, wanted)))
    return found


def _reaching(latest: Sequence[Activation], agent: AgentStanding, wanted: int) -> Activation | None:
    for change in latest:
        for_it = rules.domain_of(change.layer) in (None, agent.domain) and (
            not change.agents or agent.name in change.agents
        )
        if for_it and wanted in (0, change.revision):
            return change
    return None


def _agent(
    agent: AgentStanding, digest: str, change: Activation | None
) -> policies_pb2.PolicyAgent:
    message = policies_pb2.PolicyAgent(
        agent=agent.name,
        digest=digest,
        reported_digest=agent.reported_digest,
        revision=0 if change is None else change.revision,
        acknowledged_revision=agent.acknowledged_revision,
        state=_state(agent, change),
        refusal=agent.refusal,
    )
    since = None if change is None else agent.enforced_since(change.revision)
    if since is not None and change is not None:
        # Clocks of replicas differ a little.
        message.lag.CopyFrom(to_duration(max(since - change.time, timedelta(0))))
    return message


def _state(agent: AgentStanding, change: Activation | None) -> str:
    if change is None or agent.acknowledged_revision >= change.revision:
        return "current" if agent.connected else "away"
    if agent.refusal:
        return "refused"
    return "behind" if agent.connected else "away"
