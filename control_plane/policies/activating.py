"""Putting revisions of layers in force, in the transaction of the caller."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from control_plane.database import Transaction
from control_plane.policies import rules, store
from control_plane.policies.rules import Activation, LayerState, PolicyRevision
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from mesh.decisions.policy import Policy

ACTIVATED, STAGED, ROLLED_BACK = "activated", "staged", "rolled back"


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants in force: a revision or nothing, for some agents or for all."""

    chosen: PolicyRevision | None
    kind: str
    actor: str
    agents: Sequence[str] = ()
    accepted: Sequence[str] = ()


def push(tx: Transaction, pushed: PolicyRevision, layer: Policy) -> PolicyRevision:
    """Keep what was pushed, under the revision of the change."""
    revision = timeline.record_change(
        tx,
        Change(
            action="policy.pushed",
            actor=pushed.author,
            time=pushed.time,
            reference=pushed.digest,
            summary=f"{pushed.layer}: {len(layer.modules)} modules, {pushed.digest[:12]}",
            domain=rules.domain_of(pushed.layer),
        ),
    )
    kept = replace(pushed, revision=revision)
    store.add(tx, kept, layer)
    return kept


def put_in_force(tx: Transaction, state: LayerState, wish: Wish, now: datetime) -> Activation:
    """Change a layer; agents learn of it, and what they decide with is found by its digest."""
    chosen = wish.chosen.revision if wish.chosen else 0
    reach = ", ".join(sorted(wish.agents)) or "all agents"
    revision = timeline.record_change(
        tx,
        Change(
            action=f"policy.{wish.kind.replace(' ', '_')}",
            actor=wish.actor,
            time=now,
            reference=wish.chosen.digest if wish.chosen else "",
            summary=_summary(state, chosen, reach, wish.accepted),
            domain=rules.domain_of(state.layer),
            distributed=True,
        ),
    )
    if wish.agents:
        changed = replace(state, staged=chosen, agents=frozenset(wish.agents))
    else:
        changed = LayerState(state.layer, active=chosen)
    store.put_state(tx, changed)
    made = Activation(
        revision=revision,
        layer=state.layer,
        chosen=chosen,
        kind=wish.kind,
        actor=wish.actor,
        time=now,
        agents=sorted(wish.agents),
        accepted=wish.accepted,
    )
    store.activate(tx, made, wish.chosen.digest if wish.chosen else "")
    for domain, agent in _reached(store.states(tx).values(), state.layer):
        store.note_assembly(tx, domain, agent, revision, now)
    return made


def _reached(states: Iterable[LayerState], layer: str) -> list[tuple[str, str]]:
    """Whose policies a layer is part of: domains ("" is all others), and agents with stages."""
    known = list(states)
    own = rules.domain_of(layer)
    domains = (
        {own} if own is not None else {"", *(d for s in known if (d := rules.domain_of(s.layer)))}
    )
    agents = {agent for one in known for agent in one.agents}
    return [
        *((domain, "") for domain in sorted(domains)),
        *(
            (agent.partition("/")[0], agent)
            for agent in sorted(agents)
            if own is None or agent.startswith(f"{own}/")
        ),
    ]


def _summary(state: LayerState, chosen: int, reach: str, accepted: Sequence[str]) -> str:
    what = f"revision {chosen}" if chosen else "nothing"
    told = f"{state.layer}: {what} for {reach}, before {state.active or 'nothing'}"
    return f"{told}; accepted {', '.join(sorted(accepted))}" if accepted else told
