"""`mesh audit list` and `mesh audit tail`: the timeline of reads and changes."""

from collections.abc import Iterator
from itertools import islice
from typing import Unpack

import click

from cli.commands import MeshCommand
from cli.output import Listing
from cli.records import entry
from cli.selecting import (
    Selected,
    entries_request,
    read_options,
    read_selection,
    who_option,
    window_options,
)
from cli.session import Session, pass_session
from cli.stream import record_writer
from mesh import errors
from mesh.v1 import audit_pb2

COLUMNS = (
    "time", "action", "actor", "product", "reference", "purpose", "reasons", "summary",
)  # fmt: skip
MAX_PAGE = 500
# The cursor before all entries.
BEGINNING = "0"
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0


class Wish(Selected):
    """Which entries to list."""

    kind: str | None
    who: tuple[str, str] | None
    limit: int


@click.command(
    name="list",
    cls=MeshCommand,
    help="List reads, changes and what OPAs decided, newest first.",
    examples="""
    mesh audit list --since 24h --who user:ana
    mesh audit list --class restricted --outcome completed --since 2026-11-24
    mesh audit list --kind read --limit 10000 -o csv > reads.csv
    """,
)
@click.option(
    "--kind",
    type=click.Choice(["read", "change", "decision"]),
    help="Only reads, only changes, or only what OPAs that are no agents say they decided, which"
    " is in no log and without proof.",
)
@who_option()
@read_options
@window_options()
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
    selected = read_selection(wish["who"], wish, session.now())
    request = entries_request(selected, wish["kind"] or "", min(wish["limit"], MAX_PAGE))

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


@click.command(
    cls=MeshCommand,
    help="Show the latest entries, oldest first; with --follow also each one that arrives, across"
    " restarts of the control plane.",
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
    latest: list[audit_pb2.Entry] = []
    if cursor is None:
        request = audit_pb2.ListEntriesRequest(page_size=max(lines, 1))
        with session.client() as client:
            latest = list(client.call(client.audit.ListEntries, request).entries)
    shown = latest[:lines]
    for message in reversed(shown):
        write(entry(message))
    if follow:
        start = cursor or (latest[0].cursor if latest else BEGINNING)
        told = {message.cursor for message in shown}
        for message in _arriving(session, start):
            # An entry that came late may be shown already; one that moved on has a new cursor.
            if message.cursor not in told:
                write(entry(message))


def _arriving(session: Session, cursor: str) -> Iterator[audit_pb2.Entry]:
    """Entries after a cursor; when the control plane goes away, on from the last one."""
    pause = FIRST_PAUSE
    while True:
        try:
            wanted = audit_pb2.TailEntriesRequest(cursor=cursor)
            # A connection of its own for each try: an old one would wait longer and longer.
            with session.client() as client:
                for answer in client.stream(client.audit.TailEntries, wanted):
                    if pause > FIRST_PAUSE:
                        session.say("The control plane is back.")
                    pause = FIRST_PAUSE
                    cursor = answer.entry.cursor
                    yield answer.entry
            problem = "The control plane ended the tail"
        except errors.ControlUnavailable as error:
            problem = error.message
        if pause == FIRST_PAUSE:
            session.say(f"{problem}. Trying again; the last cursor is {cursor}.")
        session.environment.pause(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
