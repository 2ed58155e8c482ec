"""Counts as a picture: a PNG, or an HTML page that holds all it needs."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cli.text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Record = Mapping[str, object]
KINDS = (".png", ".html")
MOST_BARS, MOST_SERIES = 50, 8
_DAY = timedelta(days=1)
_TIMES = {"hour": timedelta(hours=1), "day": _DAY}
_PLAIN = "{x:,.0f}"
_OTHERS = "others"
_STYLE = """
body { font: 15px/1.5 sans-serif; margin: 2em auto; max-width: 60em; padding: 0 1em; }
svg { height: auto; max-width: 100%; } table { border-collapse: collapse; }
th, td { padding: .2em .8em; text-align: left; } tr + tr { border-top: 1px solid #ddd; }
td.n, th.n { text-align: right; }
"""


@dataclass(frozen=True, slots=True)
class Chart:
    """What a picture shows: `measure` of the records by the names of their groups."""

    title: str
    subtitle: str
    by: tuple[str, ...]
    measure: str


def check_plot(file: Path) -> None:
    """Refuse what can't be drawn before anything is asked for. Raises UsageError."""
    if file.suffix.lower() not in KINDS:
        raise click.UsageError(f"--plot writes .png or .html, by the name of the file; not {file}.")
    if not file.absolute().parent.is_dir():
        raise click.UsageError(f"There is no folder {file.parent} for --plot.")
    try:
        missing = find_spec("matplotlib") is None
    except ValueError:
        missing = True
    if missing:
        raise click.UsageError(
            "--plot needs matplotlib, which the extra `plot` brings: pip install 'meshwarden[plot]'"
        )


def write_plot(file: Path, chart: Chart, records: Sequence[Record]) -> None:
    """Draw the records. Raises UsageError for a file that can't be written."""
    # Loading it takes longer than everything else a command does.
    from matplotlib import rc_context  # noqa: PLC0415

    picture = io.BytesIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "mesh", "text.parse_math": False}):
        figure = _figure(chart, records)
        if file.suffix.lower() == ".png":
            figure.savefig(picture, format="png", dpi=150)
            content = picture.getvalue()
        else:
            nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
            figure.savefig(picture, format="svg", metadata=nothing)
            content = _page(chart, records, picture.getvalue().decode()).encode()
    try:
        file.write_bytes(content)
    except OSError as error:
        raise click.UsageError(f"{file} can't be written: {error}.") from error


def _figure(chart: Chart, records: Sequence[Record]) -> "Figure":
    from matplotlib.figure import Figure  # noqa: PLC0415

    time = next((name for name in chart.by if name in _TIMES), None)
    bars = MOST_BARS if time else min(max(len(records), 1), MOST_BARS)
    figure = Figure(figsize=(9, 4.5 if time else 1.6 + 0.28 * bars), layout="constrained")
    axes = figure.add_subplot()
    if not records:
        axes.text(0.5, 0.5, "nothing", ha="center", va="center", transform=axes.transAxes)
        axes.set_axis_off()
    elif time:
        _over_time(axes, chart, records, time)
    else:
        _side_by_side(axes, chart, records)
    figure.suptitle(chart.title, fontweight="bold")
    axes.set_title(chart.subtitle, fontsize="small")
    return figure


def _side_by_side(axes: "Axes", chart: Chart, records: Sequence[Record]) -> None:
    shown = records[:MOST_BARS]
    places = range(len(shown))
    counts = [_count(record, chart.measure) for record in shown]
    drawn = axes.barh(places, counts, color="#3465a4")
    axes.bar_label(drawn, [f"{count:,}" for count in counts], padding=3, fontsize="small")
    axes.set_yticks(places, [_label(record, chart.by) for record in shown])
    axes.invert_yaxis()
    axes.margins(x=0.12)
    left_out = len(records) - len(shown)
    axes.set_xlabel(f"{chart.measure}{f'; {left_out:,} more groups' if left_out else ''}")
    axes.locator_params(axis="x", integer=True)
    axes.xaxis.set_major_formatter(_PLAIN)


def _over_time(axes: "Axes", chart: Chart, records: Sequence[Record], time: str) -> None:
    from matplotlib import colormaps  # noqa: PLC0415

    series = _series(chart, records, time)
    starts = sorted({start for counts in series.values() for start in counts})
    places = [start.timestamp() / _DAY.total_seconds() for start in starts]
    width = _TIMES[time] / _DAY
    below = [0] * len(starts)
    for number, (name, counts) in enumerate(series.items()):
        heights = [counts.get(start, 0) for start in starts]
        colour = colormaps["tab10"](number % 10)
        axes.bar(places, heights, 0.9 * width, below, align="edge", color=colour, label=name)
        below = [low + height for low, height in zip(below, heights, strict=True)]
    axes.xaxis_date(UTC)
    axes.set_xlabel("UTC")
    axes.set_ylabel(chart.measure)
    axes.locator_params(axis="y", integer=True)
    axes.yaxis.set_major_formatter(_PLAIN)
    if len(chart.by) > 1:
        axes.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.0, 1.0))


def _series(chart: Chart, records: Sequence[Record], time: str) -> dict[str, dict[datetime, int]]:
    """Counts over time by the other names, the largest first; the smallest of many together."""
    others = tuple(name for name in chart.by if name != time)
    totals: dict[str, int] = {}
    for record in records:
        label = _label(record, others)
        totals[label] = totals.get(label, 0) + _count(record, chart.measure)
    largest = sorted(totals, key=lambda label: -totals[label])
    kept = largest if len(largest) <= MOST_SERIES else [*largest[: MOST_SERIES - 1], _OTHERS]
    series: dict[str, dict[datetime, int]] = {label: {} for label in kept}
    for record in records:
        label = _label(record, others)
        counts = series[label if label in series else _OTHERS]
        start = datetime.fromisoformat(str(record[time])).replace(tzinfo=UTC)
        counts[start] = counts.get(start, 0) + _count(record, chart.measure)
    return series


def _page(chart: Chart, records: Sequence[Record], svg: str) -> str:
    """One file that opens without a network: the drawing, and the counts as a table."""
    columns = list(records[0]) if records else list(chart.by)
    head = "".join(f"<th{_right(name, chart)}>{escape(name)}</th>" for name in columns)
    rows = "\n".join(
        "<tr>"
        + "".join(f"<td{_right(name, chart)}>{_cell(record[name])}</td>" for name in columns)
        + "</tr>"
        for record in records
    )
    title = escape(chart.title)
    return (
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{title}</h1>"
        f"<p>{escape(chart.subtitle)}</p>\n{svg[svg.index('<svg') :]}\n"
        f"<table><tr>{head}</tr>\n{rows}\n</table></body></html>\n"
    )


def _right(name: str, chart: Chart) -> str:
    return "" if name in (*chart.by, "first", "last") else ' class="n"'


def _cell(value: object) -> str:
    match value:
        case int():
            return f"{value:,}"
        case datetime():
            return value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
        case _:
            return escape(plain(str(value))) if value else "-"


def _label(record: Record, names: Sequence[str]) -> str:
    return " · ".join(plain(str(record[name])) if record[name] else "-" for name in names)


def _count(record: Record, measure: str) -> int:
    value = record[measure]
    return value if isinstance(value, int) else 0
