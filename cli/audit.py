"""`mesh audit`: who read what, and who changed what."""

from itertools import islice
from typing import TypedDict, Unpack

import click

from cli.arguments import PRODUCT, instant_behind
from cli.commands import MeshGroup
from cli.output import Listing
from cli.records import entry
from cli.session import Session, pass_session
from cli.stream import record_writer
from mesh.v1 import audit_pb2
from mesh.wire.times import to_timestamp

COLUMNS = (
    "time", "action", "actor", "product", "reference", "purpose", "reasons", "summary",
)  # fmt: skip
MAX_PAGE = 500


class Wish(TypedDict):
    """Which entries to list."""

    kind: str | None
    actor: str | None
    product: tuple[str, str] | None
    since: str | None
    limit: int


@click.group(
    cls=MeshGroup,
    help="Who read what, and who changed what.",
    examples="""
    mesh audit list --since 1h
    mesh audit list --kind read --actor user:ana --product bookings.reservations
    mesh audit tail --follow
    """,
)
def audit() -> None:
    """Who read what, and who changed what."""


@audit.command(
    name="list",
    help="List reads and changes, newest first.",
    examples="""
    mesh audit list --since 1h
    mesh audit list --kind read --actor user:ana -o csv --limit 1000 > reads.csv
    """,
)
@click.option("--kind", type=click.Choice(["read", "change"]), help="Only reads, or only changes.")
@click.option("--actor", metavar="KIND:NAME", help="Only what this one did, such as user:ana.")
@click.option("--product", type=PRODUCT, metavar="DOMAIN.PRODUCT", help="Only this product.")
@click.option("--since", metavar="TIME", help="From 2026-11-24T08:00:00Z, 2026-11-24 or 1h ago on.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=100,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@pass_session
def list_entries(session: Session, **wish: Unpack[Wish]) -> None:
    request = audit_pb2.ListEntriesRequest(
        kind=wish["kind"] or "",
        actor=wish["actor"] or "",
        product=".".join(wish["product"]) if wish["product"] else "",
        page_size=min(wish["limit"], MAX_PAGE),
    )
    if wish["since"] is not None:
        request.since.CopyFrom(to_timestamp(instant_behind(wish["since"], session.now())))

    def page(token: str) -> audit_pb2.ListEntriesRequest:
        request.page_token = token
        return request

    with session.client() as client:
        found = client.pages(client.audit.ListEntries, page, lambda answer: answer.entries)
        records = [entry(message) for message in islice(found, wish["limit"] + 1)]
    shown = records[: wish["limit"]]
    session.show(Listing(shown, COLUMNS, "No entries."))
    if len(records) > len(shown):
        session.say(f"There are more than {wish['limit']}; --limit shows more.")


@audit.command(
    help="Show the latest entries, oldest first; with --follow also each one that arrives.",
    examples="""
    mesh audit tail
    mesh audit tail --follow -o json | jq .action
    """,
)
@click.option("-f", "--follow", is_flag=True, help="Wait for more, until interrupted.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, MAX_PAGE),
    default=10,
    show_default=True,
    metavar="N",
    help="How many of the latest.",
)
@click.option("--after", "cursor", metavar="CURSOR", help="With --follow: go on after this entry.")
@pass_session
def tail(session: Session, follow: bool, lines: int, cursor: str | None) -> None:
    if cursor is not None and not follow:
        raise click.UsageError("--after goes on where a tail ended; it needs --follow.")
    write = record_writer(session, COLUMNS)
    with session.client() as client:
        latest: list[audit_pb2.Entry] = []
        if lines and cursor is None:
            request = audit_pb2.ListEntriesRequest(page_size=lines)
            latest = list(client.call(client.audit.ListEntries, request).entries)
        for message in reversed(latest):
            write(entry(message))
        if follow:
            start = cursor or (latest[0].cursor if latest else "")
            wanted = audit_pb2.TailEntriesRequest(cursor=start)
            for answer in client.stream(client.audit.TailEntries, wanted):
                write(entry(answer.entry))
