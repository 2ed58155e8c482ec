"""`mesh status` and `mesh version`."""

from importlib.metadata import version as installed_version

import click

from cli.client import Client
from cli.commands import MeshCommand
from cli.connection import connection
from cli.output import Detail, Listing, Section
from cli.records import instant
from cli.session import Session, pass_session
from mesh import errors
from mesh.v1 import status_pb2
from mesh.wire.times import from_duration

FIELDS = (
    "server", "version", "started", "revision", "policy_digest", "products", "active_agreements",
    "agents", "agents_current", "receipts",
)  # fmt: skip
REVOCATION = ("classification", "lease", "slowest", "changes")
VERSION_TIMEOUT = 2.0


@click.command(
    cls=MeshCommand,
    help="Show how the mesh is doing, and how long a revocation takes at worst, for data of each"
    " classification: where an agent hears nothing (its lease), and the slowest that was measured.",
    examples="""
    mesh status
    mesh status -o json
    """,
)
@pass_session
def status(session: Session) -> None:
    with session.client() as client:
        answer = client.call(client.status.GetStatus, status_pb2.GetStatusRequest())
    revocation = [_deadline(one) for one in answer.deadlines]
    record: dict[str, object] = {
        "server": session.settings().server.value,
        "version": answer.version,
        "started": instant(answer.start_time),
        "revision": answer.revision,
        "policy_digest": answer.policy_digest,
        "products": answer.products,
        "active_agreements": answer.active_agreements,
        "agents": answer.agents,
        "agents_current": answer.agents_current,
        "receipts": answer.receipts,
        "revocation": revocation,
    }
    section = Section(
        "Worst time from a revocation to its enforcement",
        Listing([_worded(one) for one in answer.deadlines], REVOCATION),
    )
    session.show(Detail(record, FIELDS, [section]))
    if answer.agents_current < answer.agents:
        behind = answer.agents - answer.agents_current
        session.say(f"{behind} of {answer.agents} agents not current: `mesh agent list`")


def _deadline(message: status_pb2.Deadline) -> dict[str, object]:
    return {
        "classification": message.classification,
        "lease": from_duration(message.lease, "lease").total_seconds(),
        "slowest": _slowest(message),
        "changes": message.changes,
    }


def _worded(message: status_pb2.Deadline) -> dict[str, object]:
    lease = from_duration(message.lease, "lease").total_seconds()
    return {
        **_deadline(message), "lease": _length(lease), "slowest": _length(_slowest(message)),
    }  # fmt: skip


def _slowest(message: status_pb2.Deadline) -> float | None:
    if not message.HasField("slowest"):
        return None
    return from_duration(message.slowest, "slowest").total_seconds()


def _length(seconds: float | None) -> str:
    """A length of time in words, in the largest unit that it is a whole number of."""
    if seconds is None:
        return "not measured"
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60)):
        if seconds >= length and seconds % length == 0:
            count = round(seconds / length)
            return f"{count} {unit}{'s' if count != 1 else ''}"
    return f"{seconds:g} second{'s' if seconds != 1 else ''}"


@click.command(
    cls=MeshCommand,
    help="Show the version of this command, and of the server when one answers.",
    examples="mesh version -o json",
)
@pass_session
def version(session: Session) -> None:
    client_version = installed_version("meshwarden")
    server_version, problem = _server_version(session)
    record = {"client": client_version, "server": server_version}
    session.show(Detail(record, ("client", "server"), worded={"server": server_version or problem}))


def _server_version(session: Session) -> tuple[str | None, str]:
    """The server's version, or why it is unknown."""
    try:
        found = connection(session.settings(), min(session.flags.timeout, VERSION_TIMEOUT))
    except (click.UsageError, errors.TokenMissing):
        return None, "unknown: no server or token set"
    try:
        with Client(found) as client:
            answer = client.call(client.status.GetStatus, status_pb2.GetStatusRequest())
            return answer.version, ""
    except errors.MeshError as error:
        return None, f"unknown: {error.message}"
