"""`mesh opa`: the OPAs that load the mesh's bundles, and the key to verify those with."""

import click

from cli.arguments import DOMAIN
from cli.commands import MeshGroup
from cli.flags import Format
from cli.output import Detail, Listing
from cli.records import opa as opa_record
from cli.session import Session, pass_session
from cli.text import plain
from mesh.v1 import opas_pb2


@click.group(
    cls=MeshGroup,
    help="OPAs that decide with the mesh's policies and are no agents.",
    examples="""
    mesh opa list
    mesh opa key > meshwarden.pem
    """,
)
def opa() -> None:
    """OPAs that decide with the mesh's policies and are no agents."""


@opa.command(
    name="list",
    help="List OPAs as they last said how they are: which bundle each decides with.",
    examples="""
    mesh opa list
    mesh opa list --domain bookings -o json
    """,
)
@click.option("--domain", type=DOMAIN, metavar="NAME", help="Only this domain's.")
@pass_session
def list_opas(session: Session, domain: str | None) -> None:
    with session.client() as client:
        found = client.pages(
            client.opas.ListOpas,
            lambda token: opas_pb2.ListOpasRequest(domain=domain or "", page_token=token),
            lambda page: page.opas,
        )
        records = [_record(message) for message in found]
    columns = ("opa", "reporter", "version", "revision", "heard", "problem")
    session.show(Listing(records, columns, "No OPA has said how it is in the last seven days."))


@opa.command(
    help="Print the public key of bundles, in PEM, for `keys` in OPA's configuration.",
    examples="""
    mesh opa key > meshwarden.pem
    mesh opa key -o json
    """,
)
@pass_session
def key(session: Session) -> None:
    with session.client() as client:
        answer = client.call(client.opas.GetBundleKey, opas_pb2.GetBundleKeyRequest())
    if session.format is Format.TABLE:
        session.write("".join(f"{plain(line)}\n" for line in answer.public_key.splitlines()))
        session.say(f"Key {answer.id}, for {answer.algorithm}.")
        return
    record = {"id": answer.id, "algorithm": answer.algorithm, "public_key": answer.public_key}
    session.show(Detail(record, tuple(record)))


def _record(message: opas_pb2.Opa) -> dict[str, object]:
    behind = message.active_revision < message.target_revision
    at = f"{message.active_revision}"
    return {
        **opa_record(message),
        "revision": f"{at} of {message.target_revision}" if behind else at,
    }
