"""`mesh agent`: the agents of the domains, and how they are."""

import click

from cli.arguments import DOMAIN
from cli.commands import MeshGroup
from cli.output import Detail, Listing, Section
from cli.records import agent as agent_record
from cli.records import instant, product_report
from cli.session import Session, pass_session
from mesh.v1 import agents_pb2


@click.group(
    cls=MeshGroup,
    help="The agents of the domains, and how they are.",
    examples="""
    mesh agent list
    mesh agent show bookings/bookings-1
    mesh agent join-token bookings > join-token
    """,
)
def agent() -> None:
    """The agents of the domains, and how they are."""


@agent.command(
    name="list",
    help="List agents: who is connected, and who enforces the latest revision.",
    examples="""
    mesh agent list
    mesh agent list --domain bookings -o json
    """,
)
@click.option("--domain", type=DOMAIN, metavar="NAME", help="Only this domain's.")
@pass_session
def list_agents(session: Session, domain: str | None) -> None:
    with session.client() as client:
        found = client.pages(
            client.agents.ListAgents,
            lambda token: agents_pb2.ListAgentsRequest(domain=domain or "", page_token=token),
            lambda page: page.agents,
        )
        records = [_record(message) for message in found]
    columns = ("agent", "connected", "revision", "spooled_events", "heard", "address", "refusal")
    empty = "No agents. `mesh agent join-token DOMAIN` lets one enrol."
    session.show(Listing(records, columns, empty))


@agent.command(
    help="Show one agent, and how publishing each of its contracts went.",
    examples="mesh agent show bookings/bookings-1",
)
@click.argument("name", metavar="DOMAIN/ID")
@pass_session
def show(session: Session, name: str) -> None:
    domain, slash, identifier = name.partition("/")
    if not slash or not domain or not identifier:
        raise click.UsageError(f"{name!r} is not DOMAIN/ID; `mesh agent list` shows the names.")
    with session.client() as client:
        request = agents_pb2.GetAgentRequest(domain=domain, id=identifier)
        message = client.call(client.agents.GetAgent, request).agent
    reports = [product_report(report) for report in message.products]
    record = {**_record(message), "products": reports}
    fields = (
        "agent", "connected", "address", "version", "enrolled", "heard", "revision", "refusal",
        "policy_digest", "spooled_events", "key_digest",
    )  # fmt: skip
    columns = ("file", "outcome", "product", "version", "reason", "message")
    section = Section("Products", Listing(reports, columns, "The agent publishes none."))
    session.show(Detail(record, fields, [section]))


@agent.command(
    name="join-token",
    help="Make a one-time token with which an agent of DOMAIN can enrol; ten minutes.",
    examples="""
    mesh agent join-token bookings > join-token
    mesh agent join-token bookings -o json
    """,
)
@click.argument("domain", type=DOMAIN)
@pass_session
def join_token(session: Session, domain: str) -> None:
    with session.client() as client:
        request = agents_pb2.CreateJoinTokenRequest(domain=domain)
        answer = client.call(client.agents.CreateJoinToken, request)
    end = instant(answer.expire_time)
    session.show_secret(answer.token, {"token": answer.token, "domain": domain, "until": end}, end)


def _record(message: agents_pb2.Agent) -> dict[str, object]:
    record = agent_record(message)
    behind = message.acknowledged_revision < message.target_revision
    at = f"{message.acknowledged_revision}"
    return {**record, "revision": f"{at} of {message.target_revision}" if behind else at}
