"""`mesh token`: issue tokens, and see who you are."""

from datetime import timedelta
from typing import TypedDict, Unpack

import click

from cli.arguments import DOMAIN, Length, Reference
from cli.commands import MeshGroup
from cli.output import Detail
from cli.records import instant, principal
from cli.session import Session, pass_session
from mesh.v1 import identity_pb2
from mesh.wire.times import to_duration


class Wanted(TypedDict):
    """What token is asked for."""

    domain: str | None
    subject: tuple[str, str] | None
    teams: tuple[str, ...]
    duties: tuple[str, ...]
    lifetime: timedelta | None


@click.group(
    cls=MeshGroup,
    help="Issue tokens, and see who you are.",
    examples="""
    mesh token show
    mesh token issue --domain bookings > bookings.token
    mesh token issue --for user:ana --team ops --lifetime 8h > ana.token
    """,
)
def token() -> None:
    """Issue tokens, and see who you are."""


@token.command(
    help="Print a new token: yours for a domain's agents, or, with the duty admin or security,"
    " somebody else's.",
    examples="""
    mesh token issue --domain bookings > bookings.token
    mesh token issue --for user:ana --team ops --duty owner:bookings --lifetime 8h
    """,
)
@click.option("--domain", type=DOMAIN, metavar="NAME", help="For this domain's agents.")
@click.option(
    "--for",
    "subject",
    type=Reference("user", "service"),
    metavar="KIND:NAME",
    help="For somebody else: user:ana, service:loader.",
)
@click.option("--team", "teams", multiple=True, metavar="NAME", help="Their team; repeatable.")
@click.option(
    "--duty", "duties", multiple=True, metavar="DUTY", help="Such as owner:bookings; repeatable."
)
@click.option("--lifetime", type=Length(), metavar="LENGTH", help="Up to 24h.  [default: 1h]")
@pass_session
def issue(session: Session, **wanted: Unpack[Wanted]) -> None:
    request = identity_pb2.IssueTokenRequest(domain=wanted["domain"] or "")
    if wanted["subject"] is None and (wanted["teams"] or wanted["duties"]):
        raise click.UsageError("--team and --duty describe somebody else; name them with --for.")
    if wanted["subject"] is not None:
        kind, subject = wanted["subject"]
        request.principal.CopyFrom(
            identity_pb2.Principal(
                kind=kind, subject=subject, teams=wanted["teams"], duties=wanted["duties"]
            )
        )
    if wanted["lifetime"] is not None:
        request.lifetime.CopyFrom(to_duration(wanted["lifetime"]))
    with session.client() as client:
        answer = client.call(client.identity.IssueToken, request)
    end = instant(answer.expire_time)
    record = {
        "token": answer.token,
        "audience": answer.audience,
        **principal(answer.principal),
        "until": end,
    }
    session.show_secret(answer.token, record, end)


@token.command(
    help="Show whom the control plane takes you for.",
    examples="mesh token show",
)
@pass_session
def show(session: Session) -> None:
    with session.client() as client:
        answer = client.call(client.identity.GetCaller, identity_pb2.GetCallerRequest())
    record = {**principal(answer.principal), "until": instant(answer.expire_time)}
    session.show(Detail(record, ("principal", "teams", "duties", "until")))
