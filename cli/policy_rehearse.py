"""`mesh policy rehearse`: who would gain or lose what, by what was read until now."""

import click

from cli.commands import MeshCommand
from cli.output import Detail, Listing, Section
from cli.records import instant
from cli.session import Session, pass_session
from mesh import errors
from mesh.v1 import agents_pb2, policies_pb2

GAINS = frozenset({"access gained", "column exposed", "rows gained"})
FINDINGS = (
    "id", "change", "who", "purpose", "product", "columns", "class", "before", "after", "reads",
    "last",
)  # fmt: skip
AGENTS = ("agent", "state", "reads", "distinct", "unreadable", "problem")


@click.command(
    cls=MeshCommand,
    help="Let the agents decide what they recorded again with REVISION, and show what changes."
    " Exits 10 when somebody would see more.",
    examples="""
    mesh policy rehearse 57
    mesh policy rehearse 57 --wait 120 -o json
    """,
)
@click.argument("revision", type=click.IntRange(min=1))
@click.option(
    "--wait",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    metavar="SECONDS",
    help="Longest wait for the agents.  [default: 60]",
)
@pass_session
def rehearse(session: Session, revision: int, wait: float) -> int:
    with session.client() as client:
        begun = policies_pb2.StartRehearsalRequest(revision=revision)
        client.call(client.policies.StartRehearsal, begun)
        request = policies_pb2.GetRehearsalRequest(revision=revision)
        done = session.environment.awaited(
            lambda: client.call(client.policies.GetRehearsal, request).rehearsal,
            lambda found: all(one.state != "asked" for one in found.agents),
            wait,
        )
    agents = [_agent(one) for one in done.agents]
    findings = [_finding(one) for one in done.findings]
    record = {"rehearsal": done.id, "revision": revision, "agents": agents, "findings": findings}
    sections = [
        Section("Agents", Listing(agents, AGENTS, "No agent that it would reach is connected.")),
        Section("Changes", Listing(findings, FINDINGS, "Nothing changes for anybody.")),
    ]
    session.show(Detail(record, (), sections))
    return _conclude(session, done)


def _conclude(session: Session, done: policies_pb2.Rehearsal) -> int:
    waiting = [one.agent for one in done.agents if one.state == "asked"]
    failed = [one for one in done.agents if one.state == "failed"]
    gains = [one for one in done.findings if one.kind in GAINS]
    for one in failed:
        session.alarm(f"{one.agent} can't rehearse it: {one.problem}")
    if waiting:
        session.alarm(f"Not heard from: {', '.join(waiting)}.")
    if waiting or failed:
        return errors.Unavailable.kind.exit_code
    if not gains:
        session.say(f"Nobody sees more. Next: mesh policy activate {done.revision}")
        return 0
    accept = " ".join(f"--accept {one.id}" for one in gains[:3]) + (" ..." if gains[3:] else "")
    session.say(
        f"{len(gains)} of {len(done.findings)} changes show more than before. What is meant is"
        f" named when it is activated: mesh policy activate {done.revision} {accept}"
    )
    return errors.DIFFERENT_EXIT_CODE


def _finding(message: agents_pb2.RehearsalFinding) -> dict[str, object]:
    return {
        "id": message.id,
        "change": message.kind,
        "who": message.principal,
        "purpose": message.purpose,
        "product": f"{message.product}.{message.dataset}",
        "columns": list(message.columns),
        "class": message.classification or None,
        "category": message.category or None,
        "before": message.before,
        "after": message.after,
        "reads": message.reads,
        "last": instant(message.last_time),
    }


def _agent(message: policies_pb2.RehearsalAgent) -> dict[str, object]:
    return {
        "agent": message.agent,
        "state": message.state,
        "reads": message.reads,
        "distinct": message.distinct,
        "unreadable": message.unreadable,
        "more": message.more,
        "problem": message.problem or None,
    }
