"""`mesh query`: read governed data with SQL."""

import sys
from typing import TypedDict, Unpack

import click

from cli.arguments import DOMAIN
from cli.batches import show_batches
from cli.client import Client
from cli.commands import MeshCommand
from cli.connection import address
from cli.flight import Endpoint, Question, Reading, reading
from cli.receipts import Receipt, read_receipt
from cli.session import Session, pass_session
from cli.statement import domains_named
from mesh import errors
from mesh.v1 import audit_pb2, contracts_pb2, identity_pb2

EVIDENCE_WAIT = 3.0
EVIDENCE_PAUSE = 0.1


class Where(TypedDict):
    """What for and where to read, as far as the command line says."""

    purpose: str
    agreement: str | None
    domain: str | None
    agent_uri: str | None
    revision: int | None


@click.command(
    cls=MeshCommand,
    help="Read governed data with SQL; `-` reads the statement from standard input. The rows go to"
    " stdout; the receipt, and what was masked and why, to stderr.",
    examples="""
    mesh query 'SELECT * FROM bookings.reservations.passengers LIMIT 5' --purpose crew-planning
    mesh query 'SELECT carrier, count(*) FROM flights GROUP BY 1' --domain operations \\
      --purpose crew-planning -o csv > flights.csv
    mesh query - --purpose crew-planning -o json < report.sql
    """,
)
@click.argument("sql")
@click.option("--purpose", required=True, metavar="ID", help="The registered reason for reading.")
@click.option("--agreement", metavar="ID", help="Read under this agreement, where several fit.")
@click.option(
    "--domain",
    type=DOMAIN,
    metavar="NAME",
    help="Whose data; needed where the names in SQL do not start with it.",
)
@click.option(
    "--revision",
    type=click.IntRange(min=1),
    metavar="N",
    help="Be decided by this revision or a later one, such as the one that a change told.",
)
@click.option("--agent", "agent_uri", metavar="URI", help="This agent, such as grpc://host:port.")
@pass_session
def query(session: Session, sql: str, **where: Unpack[Where]) -> None:
    statement = sys.stdin.read() if sql == "-" else sql
    question = Question(statement, where["purpose"], where["agreement"], where["revision"])
    with session.client() as client:
        endpoints = _endpoints(client, statement, where)
        with reading(endpoints, question) as answer:
            _show_rows(session, answer)
        _tell_evidence(session, client, answer.receipt)


def _show_rows(session: Session, answer: Reading) -> None:
    out = session.environment.out
    read, shown = show_batches(answer.schema, answer.batches, session.format, out)
    out.stream.flush()
    rows = "1 row" if read == 1 else f"{read:,} rows"
    hidden = read - shown
    more = f", {hidden:,} of them not shown; -o csv or -o json prints all" if hidden else ""
    session.say(f"{rows}{more}")


def _endpoints(client: Client, statement: str, where: Where) -> list[Endpoint]:
    contracts = list(
        client.pages(
            client.contracts.ListProducts,
            lambda token: contracts_pb2.ListProductsRequest(page_token=token),
            lambda page: page.contracts,
        )
    )
    domain = _domain(statement, where, contracts)
    uris = [where["agent_uri"]] if where["agent_uri"] else _uris(domain, contracts)
    issued = client.call(client.identity.IssueToken, identity_pb2.IssueTokenRequest(domain=domain))
    return [Endpoint(address(uri), issued.token, client.roots, client.timeout) for uri in uris]


def _domain(statement: str, where: Where, contracts: list[contracts_pb2.Contract]) -> str:
    """The one domain that is meant. Says which there are when it can't tell."""
    if where["domain"]:
        return where["domain"]
    known = sorted({contract.domain for contract in contracts})
    named = domains_named(statement)
    serving = sorted({c.domain for c in contracts if where["agent_uri"] in c.flight_uris})
    if len(named) > 1:
        raise click.UsageError(
            f"The statement reads from the domains {', '.join(named)}; one agent serves one"
            " domain. Read from one at a time."
        )
    for candidates in (named, serving, known):
        if len(candidates) == 1:
            return candidates[0]
    raise click.UsageError(
        "Which domain? Name it with --domain, or write domain.product.dataset in the statement."
        f" There are: {', '.join(known) or 'none with products yet'}."
    )


def _uris(domain: str, contracts: list[contracts_pb2.Contract]) -> list[str]:
    mine = [contract for contract in contracts if contract.domain == domain]
    uris = list(dict.fromkeys(uri for contract in mine for uri in contract.flight_uris))
    if uris:
        return uris
    if not mine:
        known = ", ".join(sorted({contract.domain for contract in contracts})) or "none"
        raise errors.ContractNotFound(
            f"no domain {domain!r} has products; there are: {known}", domain=domain
        )
    raise errors.AgentNotFound(
        f"no agent of {domain} has said where it serves; `mesh agent list --domain {domain}`"
        " shows how they are, --agent URI names one",
        domain=domain,
    )


def _tell_evidence(session: Session, client: Client, receipt_id: str | None) -> None:
    """The receipt, and what the reader did not get and why; evidence arrives a little later."""
    if receipt_id is None:
        session.say("warning: the agent named no receipt for this read.")
        return
    session.say(f"receipt {receipt_id}")
    if session.flags.quiet:
        return
    receipt = _awaited(session, client, receipt_id)
    if receipt is None:
        return
    for decision in receipt.decisions:
        for masked in decision.masked:
            by = ", ".join(masked.rules) or "no rule named"
            session.say(f"masked {decision.dataset}.{masked.column}: {masked.mask} ({by})")
        for row in decision.row_rules:
            session.say(f"rows of {decision.dataset} filtered by {row.get('rule')}")


def _awaited(session: Session, client: Client, receipt_id: str) -> Receipt | None:
    environment = session.environment
    deadline = environment.monotonic() + EVIDENCE_WAIT
    request = audit_pb2.GetReceiptRequest(id=receipt_id)
    while True:
        try:
            return read_receipt(client.call(client.audit.GetReceipt, request).receipt)
        except errors.NotFound:
            if environment.monotonic() >= deadline:
                session.say(f"Its evidence is on its way: `mesh why {receipt_id}`")
                return None
            environment.pause(EVIDENCE_PAUSE)
        except errors.MeshError as error:
            session.say(f"what was masked is not known here: {error.message}")
            return None
