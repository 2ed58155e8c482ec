"""`mesh product`: publish data products and look at them."""

import click

from cli.arguments import DOMAIN, PRODUCT
from cli.client import Client
from cli.commands import MeshGroup
from cli.documents import READ_LIMIT, Document, read_document
from cli.filters import stored_filter_in_words
from cli.output import Detail, Listing, Section
from cli.records import column, contract
from cli.session import Session, pass_session
from mesh import errors
from mesh.v1 import contracts_pb2

COLUMNS = ("column", "type", "classification", "least_mask", "category", "tags")


@click.group(
    cls=MeshGroup,
    help="Publish data products and look at them.",
    examples="""
    mesh product publish contracts/*.yaml
    mesh product list
    mesh product show bookings.reservations
    """,
)
def product() -> None:
    """Publish data products and look at them."""


@product.command(
    help="Publish the contracts in FILES; the same version and content again changes nothing.",
    examples="""
    mesh product publish reservations.yaml
    cat reservations.yaml | mesh product publish -
    """,
)
@click.argument("files", nargs=-1, required=True)
@pass_session
def publish(session: Session, files: tuple[str, ...]) -> int:
    documents = [read_document(name) for name in files]
    published: list[dict[str, object]] = []
    exit_code = 0
    with session.client() as client:
        for document in documents:
            try:
                published.append(_publish(client, document))
            except (errors.Unauthenticated, errors.Unavailable):
                raise
            except errors.MeshError as error:
                session.say(f"{document.name} is refused:")
                exit_code = exit_code or session.tell(error)
    if published:
        session.show(Listing(published, ("product", "version", "outcome", "revision", "file")))
    return exit_code


def _publish(client: Client, document: Document) -> dict[str, object]:
    if len(document.content) >= READ_LIMIT:
        raise errors.ContractTooLarge(
            f"{document.name} is larger than {(READ_LIMIT - 1) // 1024} KiB,"
            " the most a contract may have",
            file=document.name,
        )
    request = contracts_pb2.PublishContractRequest(document=document.content)
    answer = client.call(client.contracts.PublishContract, request)
    outcome = "published" if answer.created else "unchanged"
    return {"file": document.name, "outcome": outcome, **contract(answer.contract)}


@product.command(
    name="list",
    help="List the products of the mesh, each in its newest version.",
    examples="""
    mesh product list
    mesh product list --domain bookings -o json
    """,
)
@click.option("--domain", type=DOMAIN, metavar="NAME", help="Only this domain's.")
@pass_session
def list_products(session: Session, domain: str | None) -> None:
    with session.client() as client:
        found = client.pages(
            client.contracts.ListProducts,
            lambda token: contracts_pb2.ListProductsRequest(domain=domain or "", page_token=token),
            lambda page: page.contracts,
        )
        records = [
            {**contract(message), "datasets": [d.name for d in message.datasets]}
            for message in found
        ]
    columns = ("product", "version", "status", "owners", "datasets", "title")
    session.show(Listing(records, columns, "No products. `mesh product publish FILE` adds one."))


@product.command(
    help="Show one product: its columns, roles, purposes, versions and addresses.",
    examples="""
    mesh product show bookings.reservations
    mesh product show bookings.reservations --version 1.0.0 --document > reservations.yaml
    """,
)
@click.argument("name", type=PRODUCT, metavar="DOMAIN.PRODUCT")
@click.option("--version", metavar="VERSION", help="This version instead of the newest.")
@click.option("--document", is_flag=True, help="Print the published YAML, byte for byte.")
@pass_session
def show(session: Session, name: tuple[str, str], version: str | None, document: bool) -> None:
    domain, product_name = name
    request = contracts_pb2.GetContractRequest(
        domain=domain, product=product_name, version=version or ""
    )
    with session.client() as client:
        answer = client.call(client.contracts.GetContract, request)
    if document:
        session.write_bytes(answer.contract.document)
        return
    record = {**contract(answer.contract), "versions": list(answer.versions)}
    session.show(_detail(record, answer.contract))


def _detail(record: dict[str, object], message: contracts_pb2.Contract) -> Detail:
    fields = ("product", "title", "version", "versions", "status", "owners", "purposes")
    roles = [
        {
            "role": r.name,
            "rows": stored_filter_in_words(r.row_filter) if r.row_filter else "all",
            "description": r.description,
        }
        for r in message.roles
    ]
    sections = [Section("Roles", Listing(roles, ("role", "rows", "description"), "None."))]
    for described in message.datasets:
        listing = Listing([column(c) for c in described.columns], COLUMNS, "No columns.")
        sections.append(Section(f"Dataset {described.name}", listing))
    worded: dict[str, object] = {}
    if not message.purposes:
        worded["purposes"] = "any registered purpose"
    if not message.flight_uris:
        worded["addresses"] = "none: no agent of the domain has reported one"
    return Detail(record, (*fields, "addresses", "publisher", "publish_time"), sections, worded)
