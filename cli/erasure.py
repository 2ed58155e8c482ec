"""`mesh erasure`: make what evidence says of a person unreadable for ever."""

import sys

import click

from cli.arguments import Reference
from cli.commands import MeshGroup
from cli.output import Detail, Listing
from cli.records import instant
from cli.session import Session, pass_session
from mesh.v1 import erasures_pb2

COLUMNS = ("id", "reason", "requested", "completed", "keys", "waiting")


@click.group(
    cls=MeshGroup,
    help="Destroy the keys that evidence about a person is sealed with; logs still verify.",
    examples="""
    mesh erasure request user:ana --reason "subject request 2026-17"
    mesh erasure list
    """,
)
def erasure() -> None:
    """Destroy the keys that evidence about a person is sealed with."""


@erasure.command(
    help="Erase a person or service from evidence, at once here and soon at every agent."
    " It can't be undone.",
    examples="""
    mesh erasure request user:ana --reason "subject request 2026-17"
    mesh erasure request user:ana --reason "subject request 2026-17" --yes
    """,
)
@click.argument("principal", type=Reference("user", "service"), metavar="KIND:NAME")
@click.option(
    "--reason",
    required=True,
    metavar="TEXT",
    help="Such as a request's number; it stays, so it must not name the person.",
)
@click.option("--yes", is_flag=True, help="Don't ask whether you are sure.")
@pass_session
def request(session: Session, principal: tuple[str, str], reason: str, yes: bool) -> None:
    name = ":".join(principal)
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("it can't be undone and nobody can be asked here; add --yes.")
    if not yes:
        click.confirm(
            f"Nobody will be able to read who {name} was in any receipt. Go on?",
            abort=True,
            err=True,
        )
    with session.client() as client:
        wanted = erasures_pb2.ErasePrincipalRequest(principal=name, reason=reason)
        answer = client.call(client.erasures.ErasePrincipal, wanted)
    record = {**_record(answer.erasure), "revision": answer.revision}
    session.show(Detail(record, (*COLUMNS, "revision")))
    waiting = len(answer.erasure.waiting)
    if waiting:
        session.say(
            f"Erased here. {waiting} agents have yet to destroy their keys;"
            " `mesh erasure list` shows them."
        )
    else:
        session.say("Erased; no agent had a key.")


@erasure.command(
    name="list",
    help="List erasures, newest first, with the agents that have yet to destroy their keys.",
    examples="""
    mesh erasure list
    mesh erasure list -o json
    """,
)
@pass_session
def list_erasures(session: Session) -> None:
    with session.client() as client:
        answer = client.call(client.erasures.ListErasures, erasures_pb2.ListErasuresRequest())
    session.show(Listing([_record(one) for one in answer.erasures], COLUMNS, "No erasures."))


def _record(message: erasures_pb2.Erasure) -> dict[str, object]:
    return {
        "id": message.id,
        "reason": message.reason,
        "requested": instant(message.request_time),
        "completed": instant(message.complete_time),
        "keys": message.keys,
        "waiting": list(message.waiting),
    }
