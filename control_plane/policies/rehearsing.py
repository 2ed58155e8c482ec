"""Asking agents to rehearse, taking what they found, and what that lets go into force."""

from collections.abc import Collection, Sequence
from dataclasses import replace

from control_plane.database import Transaction
from control_plane.policies import rehearsal_store, rules, store
from control_plane.policies.fleet import AgentStanding
from control_plane.policies.rehearsals import (
    AgentRehearsal,
    Reached,
    Rehearsal,
    check_accepted,
    check_rehearsed,
)
from control_plane.policies.rules import PolicyRevision
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from mesh.decisions.policy import Policy
from mesh.errors import PolicyNotFound, RequestInvalid
from mesh.v1 import agents_pb2, policies_pb2
from mesh.wire.rehearsals import MOST_FINDINGS, finding_from_proto, finding_to_proto
from mesh.wire.times import to_timestamp

_MOST_CHARS = 2_000


def begin(
    tx: Transaction,
    revision: PolicyRevision,
    fleet: Sequence[AgentStanding],
    rehearsal: Rehearsal,
) -> Rehearsal:
    """Ask every connected agent that the revision would reach; they learn of it by the change."""
    agents = [
        AgentRehearsal(one.agent, one.digest, one.base)
        for one in reached(tx, revision, fleet)
        if one.connected
    ]
    begun = replace(rehearsal, agents=tuple(agents))
    rehearsal_store.add(tx, begun)
    timeline.record_change(
        tx,
        Change(
            action="policy.rehearsed",
            actor=rehearsal.starter,
            time=rehearsal.started,
            reference=revision.digest,
            summary=f"{revision.layer}: revision {revision.revision} on {len(agents)} agents",
            domain=rules.domain_of(revision.layer),
        ),
    )
    return begun


def reached(
    tx: Transaction, revision: PolicyRevision, fleet: Sequence[AgentStanding]
) -> list[Reached]:
    """The agents that a revision would reach, with what they decide with and would decide with."""
    domain = rules.domain_of(revision.layer)
    digests: dict[tuple[int, ...], tuple[str, str]] = {}
    found = []
    for agent in fleet:
        if domain not in (None, agent.domain):
            continue
        chosen = store.chosen(tx, agent.domain, agent.name)
        if chosen not in digests:
            policies = (
                store.would_be(tx, agent.domain, agent.name, revision),
                store.in_force(tx, agent.domain, agent.name),
            )
            new, old = ("" if one is None else one.digest for one in policies)
            digests[chosen] = new, old
        found.append(Reached(agent.name, agent.connected, *digests[chosen]))
    return found


def check_gate(
    tx: Transaction,
    revision: PolicyRevision,
    fleet: Sequence[AgentStanding],
    accepted: Collection[str],
) -> None:
    """Refuse what was not rehearsed as things are now, or shows more than was accepted.

    Raises PolicyUnrehearsed, PolicyExposes.
    """
    newest = rehearsal_store.newest(tx, revision.revision)
    rehearsal = check_rehearsed(newest, revision.revision, reached(tx, revision, fleet))
    check_accepted(rehearsal, accepted)


def candidate(tx: Transaction, rehearsal_id: str, domain: str, agent: str) -> Policy:
    """What an agent was asked to rehearse. Raises PolicyNotFound."""
    rehearsal = rehearsal_store.find(tx, rehearsal_id)
    revision = store.find(tx, rehearsal.revision) if rehearsal is not None else None
    name = f"{domain}/{agent}"
    if rehearsal is None or revision is None or not _asked(rehearsal, name):
        raise _not_asked(rehearsal_id)
    policy = store.would_be(tx, domain, name, revision)
    if policy is None:
        raise _not_asked(rehearsal_id)
    return policy


def take_report(tx: Transaction, name: str, request: agents_pb2.ReportRehearsalRequest) -> None:
    """Store what an agent found. Raises PolicyNotFound, RequestInvalid."""
    rehearsal = rehearsal_store.find(tx, request.id)
    known = None if rehearsal is None else _asked(rehearsal, name)
    if known is None:
        raise _not_asked(request.id)
    if len(request.findings) > MOST_FINDINGS:
        raise RequestInvalid(f"a report has at most {MOST_FINDINGS} findings", field="findings")
    domain = name.partition("/")[0]
    findings = [finding_from_proto(one) for one in request.findings]
    if any(not one.product.startswith(f"{domain}.") for one in findings):
        raise RequestInvalid("an agent reports on its own domain's products", field="findings")
    told = replace(
        known,
        reported=True,
        distinct=request.distinct,
        reads=request.reads,
        unreadable=request.unreadable,
        more=request.more,
        problem=request.problem[:_MOST_CHARS],
        findings=tuple(findings),
    )
    rehearsal_store.put(tx, request.id, told)


def to_proto(rehearsal: Rehearsal) -> policies_pb2.Rehearsal:
    """A rehearsal on the wire."""
    return policies_pb2.Rehearsal(
        id=rehearsal.id,
        revision=rehearsal.revision,
        starter=rehearsal.starter,
        start_time=to_timestamp(rehearsal.started),
        agents=[
            policies_pb2.RehearsalAgent(
                agent=one.agent,
                state="failed" if one.problem else "done" if one.reported else "asked",
                distinct=one.distinct,
                reads=one.reads,
                unreadable=one.unreadable,
                more=one.more,
                problem=one.problem,
            )
            for one in rehearsal.agents
        ],
        findings=[finding_to_proto(one) for one in rehearsal.findings],
    )


def _asked(rehearsal: Rehearsal, name: str) -> AgentRehearsal | None:
    return next((one for one in rehearsal.agents if one.agent == name), None)


def _not_asked(rehearsal: str) -> PolicyNotFound:
    return PolicyNotFound(f"the agent was not asked for rehearsal {rehearsal!r}")
