"""`mesh policy activate`, `rollback`, `log`, `status`: what is in force, and where."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from cli.commands import MeshCommand
from cli.layers import LAYER
from cli.output import Detail, Listing, Section
from cli.policy_push import active_of, layer_of
from cli.records import instant
from cli.session import Session, pass_session
from mesh import errors
from mesh.v1 import policies_pb2

if TYPE_CHECKING:
    from cli.client import Client

FIELDS = ("revision", "layer", "chosen", "kind", "actor", "time", "agents", "accepted")
AGENTS = ("agent", "state", "revision", "acknowledged", "lag_ms", "policy", "refusal")
LAYERS = ("layer", "active", "staged", "agents")
_WAIT = click.option(
    "--wait",
    type=click.FloatRange(min=0, min_open=True),
    metavar="SECONDS",
    help="Return when every agent that is connected has it, or say who has not.",
)


@click.command(
    cls=MeshCommand,
    help="Put REVISION in force, for all agents or first for some.",
    examples="""
    mesh policy activate 57 --wait 10
    mesh policy activate 57 --agent bookings/bookings-1
    mesh policy activate 57 --accept 4f2a81c09d3e
    """,
)
@click.argument("revision", type=click.IntRange(min=1))
@click.option(
    "--agent", "agents", multiple=True, metavar="DOMAIN/ID", help="For this agent; repeatable."
)
@click.option(
    "--accept",
    "accepted",
    multiple=True,
    metavar="ID",
    help="This finding of its rehearsal is meant; repeatable.",
)
@_WAIT
@pass_session
def activate(
    session: Session,
    revision: int,
    agents: tuple[str, ...],
    accepted: tuple[str, ...],
    wait: float | None,
) -> int:
    with session.client() as client:
        layer = layer_of(client, revision)
        request = policies_pb2.ActivatePolicyRequest(
            revision=revision,
            expected=active_of(client, layer),
            agents=agents,
            accepted=accepted,
        )
        made = client.call(client.policies.ActivatePolicy, request).activation
        session.show(Detail(_activation(made), FIELDS))
        return 0 if wait is None else _await(session, client, made.revision, wait)


@click.command(
    cls=MeshCommand,
    help="Put what was in force of LAYER before in force again.",
    examples="""
    mesh policy rollback organisation --wait 10
    mesh policy rollback domain/bookings --to 41
    mesh policy rollback organisation --to-none
    """,
)
@click.argument("layer", type=LAYER)
@click.option("--to", "revision", type=click.IntRange(min=1), help="To this revision.")
@click.option("--to-none", "none", is_flag=True, help="To no modules at all.")
@_WAIT
@pass_session
def rollback(
    session: Session, layer: str, revision: int | None, none: bool, wait: float | None
) -> int:
    if revision is not None and none:
        raise click.UsageError("--to and --to-none exclude each other.")
    request = policies_pb2.RollBackPolicyRequest(layer=layer, revision=revision or 0, none=none)
    with session.client() as client:
        made = client.call(client.policies.RollBackPolicy, request).activation
        session.show(Detail(_activation(made), FIELDS))
        return 0 if wait is None else _await(session, client, made.revision, wait)


@click.command(
    cls=MeshCommand,
    help="Show what was put in force, by whom and when, newest first.",
    examples="""
    mesh policy log
    mesh policy log --layer organisation -o json
    """,
)
@click.option("--layer", default="", metavar="LAYER", help="Of this layer only.")
@pass_session
def log(session: Session, layer: str) -> None:
    request = policies_pb2.ListPolicyActivationsRequest(layer=layer, limit=500)
    with session.client() as client:
        found = client.call(client.policies.ListPolicyActivations, request).activations
    columns = ("revision", "layer", "chosen", "kind", "actor", "time", "agents")
    session.show(Listing([_activation(one) for one in found], columns, "Nothing was in force."))


@click.command(
    cls=MeshCommand,
    help="Show which agents decide with what, who is behind, and who refused.",
    examples="""
    mesh policy status
    mesh policy status --wait 10
    """,
)
@_WAIT
@pass_session
def status(session: Session, wait: float | None) -> int:
    with session.client() as client:
        if wait is not None:
            return _await(session, client, 0, wait)
        found = _status(client)
    layers = [_layer(one) for one in found.layers]
    agents = [_agent(one) for one in found.agents]
    sections = [
        Section("Layers", Listing(layers, LAYERS)),
        Section("Agents", Listing(agents, AGENTS, "No agents are enrolled.")),
    ]
    session.show(Detail({"layers": layers, "agents": agents}, (), sections))
    return 0


def _await(session: Session, client: "Client", revision: int, seconds: float) -> int:
    """Wait for the agents; 9 when one refused or some have not acknowledged in time."""
    agents = session.environment.awaited(
        lambda: _status(client, revision).agents,
        lambda found: not _in(found, "behind") or bool(_in(found, "refused")),
        seconds,
    )
    late, refused = _in(agents, "behind"), _in(agents, "refused")
    if late or refused:
        _say_who_has_not(session, [*refused, *late])
        return errors.Unavailable.kind.exit_code
    slowest = max((one.lag.ToMilliseconds() for one in agents if one.HasField("lag")), default=0)
    away = [one.agent for one in _in(agents, "away")]
    session.say(f"Every connected agent has it; the slowest took {slowest} ms.")
    if away:
        session.say(f"Not connected: {', '.join(away)}. Their leases end what they may do.")
    return 0


def _in(agents: Sequence[policies_pb2.PolicyAgent], state: str) -> list[policies_pb2.PolicyAgent]:
    return [one for one in agents if one.state == state]


def _say_who_has_not(session: Session, agents: Sequence[policies_pb2.PolicyAgent]) -> None:
    for one in agents:
        why = f": {one.refusal}" if one.state == "refused" else ""
        session.alarm(f"{one.agent} {'refused it' if why else 'has not acknowledged it'}{why}")


def _status(client: "Client", revision: int = 0) -> policies_pb2.GetPolicyStatusResponse:
    request = policies_pb2.GetPolicyStatusRequest(revision=revision)
    return client.call(client.policies.GetPolicyStatus, request)


def _activation(message: policies_pb2.PolicyActivation) -> dict[str, object]:
    return {
        "revision": message.revision,
        "layer": message.layer,
        "chosen": message.chosen or None,
        "kind": message.kind,
        "actor": message.actor,
        "time": instant(message.time),
        "agents": list(message.agents) or "all",
        "accepted": list(message.accepted),
    }


def _layer(message: policies_pb2.PolicyLayer) -> dict[str, object]:
    return {
        "layer": message.layer,
        "active": message.active or None,
        "staged": message.staged or None,
        "agents": list(message.agents),
    }


def _agent(message: policies_pb2.PolicyAgent) -> dict[str, object]:
    return {
        "agent": message.agent,
        "state": message.state,
        "revision": message.revision,
        "acknowledged": message.acknowledged_revision,
        "lag_ms": message.lag.ToMilliseconds() if message.HasField("lag") else None,
        "policy": message.digest[:12],
        "digest": message.digest,
        "reported_digest": message.reported_digest or None,
        "refusal": message.refusal or None,
    }
