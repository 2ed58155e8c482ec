"""`mesh audit stats`: reads counted in groups, as a table with bars, as data, or as a plot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Unpack

import click

from cli.bars import print_bars
from cli.commands import MeshCommand
from cli.flags import Format
from cli.output import Listing
from cli.plots import Chart, check_plot, write_plot
from cli.records import instant
from cli.selecting import Selected, read_options, read_selection, who_option, window_options
from cli.session import Session, pass_session
from mesh.times import rfc3339
from mesh.v1 import audit_pb2

DIMENSIONS: Mapping[str, audit_pb2.Dimension.ValueType] = {
    "who": audit_pb2.DIMENSION_ACTOR,
    "product": audit_pb2.DIMENSION_PRODUCT,
    "class": audit_pb2.DIMENSION_CLASSIFICATION,
    "purpose": audit_pb2.DIMENSION_PURPOSE,
    "outcome": audit_pb2.DIMENSION_OUTCOME,
    "hour": audit_pb2.DIMENSION_HOUR,
    "day": audit_pb2.DIMENSION_DAY,
}
LENGTHS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
MEASURES = ("reads", "refused", "rows", "bytes")
MOST_DIMENSIONS = 3
MOST_GROUPS = 10_000
USUAL_GROUPS, USUAL_TIMES = 100, 1_000


class Wish(Selected):
    """What to count, and how to show it."""

    who: tuple[str, str] | None
    by: tuple[str, ...]
    measure: str
    limit: int | None
    plot: Path | None


@dataclass(frozen=True, slots=True)
class Counted:
    """Groups as records, by what they were grouped."""

    by: tuple[str, ...]
    records: Sequence[Mapping[str, object]]
    truncated: bool


@click.command(
    cls=MeshCommand,
    help="Count reads in groups. A read of several products or classes counts in each of them,"
    " with all of its rows.",
    examples="""
    mesh audit stats --by product --by class --since 24h
    mesh audit stats --by day --since 30d --plot reads.html
    mesh audit stats --by who --class restricted --of rows -o csv > readers.csv
    """,
)
@click.option(
    "--by",
    multiple=True,
    default=("product",),
    type=click.Choice(list(DIMENSIONS)),
    help="Group by this; up to three times.  [default: product]",
)
@who_option()
@read_options
@window_options("7d")
@click.option(
    "--of",
    "measure",
    type=click.Choice(MEASURES),
    default="reads",
    show_default=True,
    help="What the bars show.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, MOST_GROUPS),
    metavar="N",
    help=f"At most so many groups.  [default: {USUAL_GROUPS}, by time {USUAL_TIMES:,}]",
)
@click.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw it too: FILE ends in .png or .html.",
)
@pass_session
def stats(session: Session, **wish: Unpack[Wish]) -> None:
    by = tuple(dict.fromkeys(wish["by"]))
    if len(by) > MOST_DIMENSIONS:
        raise click.UsageError(f"--by takes up to {MOST_DIMENSIONS} groupings, not {len(by)}.")
    if wish["plot"] is not None:
        check_plot(wish["plot"])
    timed = any(name in LENGTHS for name in by)
    request = audit_pb2.SummarizeReadsRequest(
        selection=read_selection(wish["who"], wish, session.now()),
        dimensions=[DIMENSIONS[name] for name in by],
        limit=wish["limit"] or (USUAL_TIMES if timed else USUAL_GROUPS),
    )
    with session.client() as client:
        answer = client.call(client.audit.SummarizeReads, request)
    counted = Counted(by, [read_group(by, group) for group in answer.groups], answer.truncated)
    _show(session, counted, wish["measure"])
    told = _in_words(request.selection)
    session.say(f"{told[0].upper()}{told[1:]}.")
    if counted.truncated:
        session.say(f"There are more than {len(counted.records):,} groups; --limit shows more.")
    if wish["plot"] is not None:
        chart = Chart(f"{wish['measure']} by {', '.join(by)}", told, by, wish["measure"])
        write_plot(wish["plot"], chart, counted.records)
        session.say(f"Drawn in {wish['plot']}.")


def read_group(by: Sequence[str], group: audit_pb2.ReadGroup) -> dict[str, object]:
    """A group as a record: its dimensions, then the counts."""
    named = {name: value or None for name, value in zip(by, group.values, strict=True)}
    return {
        **named,
        "reads": group.reads,
        "refused": group.refused,
        "rows": group.rows,
        "bytes": group.bytes,
        "first": instant(group.first_time),
        "last": instant(group.last_time),
    }


def _show(session: Session, counted: Counted, measure: str) -> None:
    measures = tuple(name for name in MEASURES if name != "bytes" or measure == "bytes")
    if session.format is Format.TABLE and counted.records:
        records = with_gaps(counted.records, counted.by)
        print_bars(records, counted.by, measures, measure, session.environment.out)
        return
    columns = (*counted.by, *MEASURES, "first", "last")
    session.show(Listing(counted.records, columns, "No reads."))


def with_gaps(
    records: Sequence[Mapping[str, object]], by: Sequence[str]
) -> Sequence[Mapping[str, object]]:
    """The records by time alone with those hours or days in between that had no read."""
    if len(by) > 1 or by[0] not in LENGTHS:
        return records
    name, length = by[0], LENGTHS[by[0]]
    found = {_begin(str(record[name])): record for record in records}
    begin, end = min(found), max(found)
    if (end - begin) / length > MOST_GROUPS:
        return records
    nothing = dict.fromkeys(MEASURES, 0)
    filled = []
    while begin <= end:
        shown = rfc3339(begin) if name == "hour" else begin.date().isoformat()
        filled.append(found.get(begin, {name: shown, **nothing}))
        begin += length
    return filled


def _begin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _in_words(selection: audit_pb2.ReadSelection) -> str:
    """What was counted: `reads of user:ana since 2026-11-24T08:00:00Z`."""
    parts = ["reads"]
    for word, value in (
        ("by", selection.actor),
        ("of", selection.product),
        ("of the class", selection.classification),
        ("for", selection.purpose),
        ("that are", selection.outcome),
    ):
        if value:
            parts.append(f"{word} {value}")
    for word, stamp in (("since", selection.since), ("until", selection.until)):
        found = instant(stamp)
        if found is not None:
            parts.append(f"{word} {rfc3339(found)}")
    return " ".join(parts)
