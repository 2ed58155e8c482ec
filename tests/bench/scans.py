"""Scans and TPC-H q1: governed, allowed everything, on a bare Flight server, and in process."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack

from tests.bench.lineitem import ALL_COLUMNS, CLEAR_COLUMNS, MASKED, OPEN, Q1
from tests.bench.measuring import Figure, Section, Spread, Target, alternate, ratios
from tests.bench.reading import Read, in_process, over_adbc
from tests.bench.sales import connect
from tests.bench.surroundings import Surroundings
from tests.bench.ungoverned import database

_RATIO = Target(0.95, at_most=False)
_SCANS = (
    ("full scan", ALL_COLUMNS, True),
    ("scan of the 14 clear columns", CLEAR_COLUMNS, False),
    ("TPC-H q1", Q1, True),
)


def scans(given: Surroundings) -> list[Section]:
    """Governed reads of lineitem beside the same reads with everything allowed."""
    with ExitStack() as stack:
        agent = stack.enter_context(given.sales.connect())
        flight = stack.enter_context(connect(given.ungoverned, ""))
        here = stack.enter_context(database(given.lineitem))

        def variants(sql: str, *, beside: bool) -> Mapping[str, Callable[[], Read]]:
            of = {name: sql.format(table=f"{name}.lineitem") for name in ("masked", "plain")}
            found: dict[str, Callable[[], Read]] = {
                MASKED.name: lambda: over_adbc(agent, of[MASKED.name]),
                OPEN.name: lambda: over_adbc(agent, of[OPEN.name]),
            }
            if beside:
                found["flight"] = lambda: over_adbc(flight, sql.format(table="lineitem"))
                found["duckdb"] = lambda: in_process(here, sql.format(table="lineitem"))
            return found

        return [
            _section(title, alternate(variants(sql, beside=beside), given.rounds))
            for title, sql, beside in _SCANS
        ]


def _section(title: str, reads: Mapping[str, Sequence[Read]]) -> Section:
    masked, plain = reads[MASKED.name], reads[OPEN.name]
    scale, unit, factor = ("MB/s", "MB/s", 1.0) if title != _SCANS[2][0] else ("time", "ms", 1e3)

    def spread(of: Sequence[Read]) -> Spread:
        if scale == "MB/s":
            return Spread.of([read.megabytes_per_second for read in of])
        return Spread.of([read.seconds * factor for read in of])

    names = {
        MASKED.name: "agent, row filter and constant masks",
        OPEN.name: "agent, allow all",
        "flight": "bare pyarrow Flight server",
        "duckdb": "DuckDB in process",
    }
    figures = [Figure(names[name], spread(of), unit) for name, of in reads.items()]
    speeds = {name: [read.rows_per_second for read in of] for name, of in reads.items()}
    figures.append(
        Figure("governed / allow all", ratios(speeds[MASKED.name], speeds[OPEN.name]), "×", _RATIO)
    )
    if "flight" in reads:
        figures.append(
            Figure("allow all / bare Flight", ratios(speeds[OPEN.name], speeds["flight"]), "×")
        )
    return Section(f"Scan: {title}", figures, _sizes(masked[0], plain[0]))


def _sizes(masked: Read, plain: Read) -> str:
    return (
        f"Governed: {masked.rows:,} rows, {masked.bytes / 1e6:,.1f} MB of Arrow; allow all: "
        f"{plain.rows:,} rows, {plain.bytes / 1e6:,.1f} MB. The ratio is of rows per second."
    )
