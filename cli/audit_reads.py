"""`mesh audit reads`: what one principal read, as an investigator asks first."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Unpack

import click

from cli.audit_entries import MAX_PAGE
from cli.audit_stats import DIMENSIONS, read_group
from cli.commands import MeshCommand
from cli.output import Detail, Listing, Record, Section
from cli.records import entry, instant
from cli.selecting import (
    Selected,
    entries_request,
    read_options,
    read_selection,
    who_option,
    window_options,
)
from cli.session import Session, pass_session
from mesh.times import rfc3339
from mesh.v1 import audit_pb2

if TYPE_CHECKING:
    from cli.client import Client

MOST_GROUPS = 1_000
COUNTS = ("reads", "refused", "rows", "bytes")
FIELDS = ("who", "since", "until", *COUNTS, "first", "last")


class Wish(Selected):
    """Whose reads, and how many of them to list."""

    who: tuple[str, str]
    limit: int


@click.command(
    cls=MeshCommand,
    help="Show what somebody read: how much, of which products and classes of columns, for which"
    " purposes, from when to when, and the receipts to follow up with `mesh why`.",
    examples="""
    mesh audit reads --who user:ana --since 7d
    mesh audit reads --who service:loader --class restricted --since 2026-11-01 --until 2026-11-24
    mesh audit reads --who user:ana -o json
    """,
)
@who_option(required=True)
@read_options
@window_options()
@click.option(
    "--limit",
    type=click.IntRange(1, MAX_PAGE),
    default=20,
    show_default=True,
    metavar="N",
    help="How many of the latest reads to list.",
)
@pass_session
def reads(session: Session, **wish: Unpack[Wish]) -> None:
    selection = read_selection(wish["who"], wish, session.now())
    with session.client() as client:
        total = _grouped(client, selection, ("who",))
        by_product = _grouped(client, selection, ("product", "class"))
        by_purpose = _grouped(client, selection, ("purpose", "outcome"))
        latest = _latest(client, selection, wish["limit"])
    if not total:
        session.say(f"No reads of {selection.actor} that you may see.")
    record = _record(selection, total, by_product, by_purpose)
    record["latest"] = latest
    session.show(_detail(record, by_product, by_purpose, latest))
    if latest:
        session.say("`mesh why RECEIPT` explains one of them.")
    if total and total[0]["reads"] != len(latest):
        session.say(
            f"Listed are the latest {len(latest)} of {total[0]['reads']:,}; `mesh audit list --kind"
            f" read --who {selection.actor}` with the same filters lists them all."
        )


def _grouped(
    client: "Client", selection: audit_pb2.ReadSelection, by: Sequence[str]
) -> list[dict[str, object]]:
    request = audit_pb2.SummarizeReadsRequest(
        selection=selection, dimensions=[DIMENSIONS[name] for name in by], limit=MOST_GROUPS
    )
    answer = client.call(client.audit.SummarizeReads, request)
    return [read_group(by, group) for group in answer.groups]


def _latest(
    client: "Client", selection: audit_pb2.ReadSelection, limit: int
) -> list[dict[str, object]]:
    request = entries_request(selection, "read", limit)
    found = [entry(message) for message in client.call(client.audit.ListEntries, request).entries]
    return [
        {
            "time": one["time"],
            "outcome": str(one["action"]).removeprefix("read."),
            "receipt": one["reference"],
            "product": one["product"],
            "purpose": one["purpose"],
            "rows": one["rows"],
            "reasons": one["reasons"],
        }
        for one in found
    ]


def _record(
    selection: audit_pb2.ReadSelection,
    total: Sequence[Record],
    by_product: Sequence[Record],
    by_purpose: Sequence[Record],
) -> dict[str, object]:
    counts = total[0] if total else {**dict.fromkeys(COUNTS, 0), "first": None, "last": None}
    return {
        "who": selection.actor,
        "since": instant(selection.since),
        "until": instant(selection.until),
        **{name: counts[name] for name in (*COUNTS, "first", "last")},
        "by_product": list(by_product),
        "by_purpose": list(by_purpose),
    }


def _detail(
    record: dict[str, object],
    by_product: Sequence[Record],
    by_purpose: Sequence[Record],
    latest: Sequence[Record],
) -> Detail:
    worded = {"since": record["since"] or "the beginning", "until": record["until"] or "now"}
    sections = [
        Section(
            "By product and class of column",
            Listing(_timed(by_product), ("product", "class", *COUNTS[:3], "first", "last")),
        ),
        Section(
            "By purpose and outcome",
            Listing(_timed(by_purpose), ("purpose", "outcome", "reads", "rows")),
        ),
        Section(
            "Latest reads",
            Listing(
                _timed(latest),
                ("time", "outcome", "receipt", "rows", "product", "purpose", "reasons"),
            ),
        ),
    ]
    return Detail(record, FIELDS, sections if latest else (), worded)


def _timed(records: Sequence[Record]) -> list[dict[str, object]]:
    """The records with short times, so that more of them fit side by side."""
    return [
        {
            **record,
            **{
                name: rfc3339(value)
                for name in ("time", "first", "last")
                if isinstance(value := record.get(name), datetime)
            },
        }
        for record in records
    ]
