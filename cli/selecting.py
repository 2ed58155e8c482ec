"""The options that say which reads are meant: who, what, what for, and when."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TypedDict, TypeVar

import click

from cli.arguments import PRODUCT, Reference, instant_behind, instant_ended
from mesh.contracts.values import Classification
from mesh.v1 import audit_pb2
from mesh.wire.times import to_timestamp

F = TypeVar("F", bound=Callable[..., object])
ACTOR = Reference("user", "service", "agent")
OUTCOMES = ("started", "completed", "aborted", "refused")


class Selected(TypedDict):
    """Which reads, as the options say."""

    product: tuple[str, str] | None
    classification: str | None
    purpose: str | None
    outcome: str | None
    since: str | None
    until: str | None


def read_options(command: F) -> F:
    """What was read, what for, and how it ended."""
    options = (
        click.option(
            "--product", type=PRODUCT, metavar="DOMAIN.PRODUCT", help="Only of this product."
        ),
        click.option(
            "--class",
            "classification",
            type=click.Choice([one.value for one in Classification]),
            help="Only reads of columns of this class.",
        ),
        click.option("--purpose", metavar="ID", help="Only reads for this purpose."),
        click.option("--outcome", type=click.Choice(OUTCOMES), help="Only reads that ended so."),
    )
    return _decorated(command, options)


def window_options(since: str | None = None) -> Callable[[F], F]:
    """From when until when; `since` is where it begins unless it is said."""
    default = f"  [default: {since}]" if since else ""
    options = (
        click.option(
            "--since",
            default=since,
            metavar="TIME",
            help=f"From 2026-11-24T08:00:00Z, 2026-11-24, or 24h or 7d ago on.{default}",
        ),
        click.option(
            "--until", metavar="TIME", help="Before such a time; a date means its end, in UTC."
        ),
    )
    return lambda command: _decorated(command, options)


def who_option(*, required: bool = False) -> Callable[[F], F]:
    """Who did it."""
    return click.option(
        "--who",
        type=ACTOR,
        required=required,
        metavar="KIND:NAME",
        help="Of this one, such as user:ana.",
    )


def window(
    since: str | None, until: str | None, now: datetime
) -> tuple[datetime | None, datetime | None]:
    """The instants between which reads are meant. Raises UsageError where nothing is between."""
    begin = None if since is None else instant_behind(since, now)
    end = None if until is None else instant_ended(until, now)
    if begin is not None and end is not None and end - begin <= timedelta():
        raise click.UsageError(f"--until {until} is not after --since {since}.")
    return begin, end


def read_selection(
    who: tuple[str, str] | None, wish: Selected, now: datetime
) -> audit_pb2.ReadSelection:
    """The selection on the wire."""
    selection = audit_pb2.ReadSelection(
        actor=":".join(who) if who else "",
        product=".".join(wish["product"]) if wish["product"] else "",
        classification=wish["classification"] or "",
        purpose=wish["purpose"] or "",
        outcome=wish["outcome"] or "",
    )
    begin, end = window(wish["since"], wish["until"], now)
    if begin is not None:
        selection.since.CopyFrom(to_timestamp(begin))
    if end is not None:
        selection.until.CopyFrom(to_timestamp(end))
    return selection


def entries_request(
    selection: audit_pb2.ReadSelection, kind: str, page_size: int
) -> audit_pb2.ListEntriesRequest:
    """The entries of the reads that are selected; with no kind, of what else is selected too."""
    request = audit_pb2.ListEntriesRequest(
        kind=kind,
        actor=selection.actor,
        product=selection.product,
        classification=selection.classification,
        purpose=selection.purpose,
        outcome=selection.outcome,
        page_size=page_size,
    )
    if selection.HasField("since"):
        request.since.CopyFrom(selection.since)
    if selection.HasField("until"):
        request.until.CopyFrom(selection.until)
    return request


def _decorated(command: F, options: tuple[Callable[[F], F], ...]) -> F:
    for option in reversed(options):
        command = option(command)
    return command
