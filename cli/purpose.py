"""`mesh purpose`: the registered reasons for processing."""

import click

from cli.commands import MeshGroup
from cli.output import Detail, Listing
from cli.records import purpose as purpose_record
from cli.session import Session, pass_session
from mesh.names import HYPHENATED_RULE, is_hyphenated
from mesh.v1 import purposes_pb2

FIELDS = ("id", "title", "creator", "created", "revision")


@click.group(
    cls=MeshGroup,
    help="The registered reasons for processing; every read names one.",
    examples="""
    mesh purpose list
    mesh purpose add crew-planning "Plan crews and standby"
    """,
)
def purpose() -> None:
    """The registered reasons for processing."""


@purpose.command(
    help="Register a purpose; the same id and title again changes nothing.",
    examples='mesh purpose add crew-planning "Plan crews and standby"',
)
@click.argument("purpose_id", metavar="ID")
@click.argument("title")
@pass_session
def add(session: Session, purpose_id: str, title: str) -> None:
    if not is_hyphenated(purpose_id):
        raise click.UsageError(f"{purpose_id!r} can't name a purpose; it is {HYPHENATED_RULE}.")
    with session.client() as client:
        request = purposes_pb2.AddPurposeRequest(id=purpose_id, title=title)
        answer = client.call(client.purposes.AddPurpose, request)
    session.show(Detail(purpose_record(answer.purpose), FIELDS))
    session.say("Registered." if answer.created else "It was registered before.")


@purpose.command(
    name="list",
    help="List the registered purposes.",
    examples="""
    mesh purpose list
    mesh purpose list -o csv
    """,
)
@pass_session
def list_purposes(session: Session) -> None:
    with session.client() as client:
        found = client.pages(
            client.purposes.ListPurposes,
            lambda token: purposes_pb2.ListPurposesRequest(page_token=token),
            lambda page: page.purposes,
        )
        records = [purpose_record(message) for message in found]
    columns = ("id", "title", "creator", "created")
    session.show(Listing(records, columns, "No purposes. `mesh purpose add ID TITLE` adds one."))
