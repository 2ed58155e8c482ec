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
_FILTERED = "(SELECT * FROM lineitem WHERE l_suppkey <> 1)"
_NAMES = {
    MASKED.name: "agent, row filter and constant masks",
    OPEN.name: "agent, allow all",
    "flight": "bare pyarrow Flight server",
    "duckdb": "DuckDB in process",
    "filtered": "DuckDB in process, same row filter",
}
_REPEATED = 4


def scans(given: Surroundings) -> list[Section]:
    """Governed reads of lineitem beside the same reads with everything allowed."""
    with ExitStack() as stack:
        agent = stack.enter_context(given.sales.connect())
        flight = stack.enter_context(connect(given.ungoverned, ""))
        here = stack.enter_context(database(given.lineitem))

        def ways(sql: str) -> dict[str, Callable[[], Read]]:
            def of(table: str) -> str:
                return sql.format(table=table)

            return {
                MASKED.name: lambda: over_adbc(agent, of(f"{MASKED.name}.lineitem")),
                OPEN.name: lambda: over_adbc(agent, of(f"{OPEN.name}.lineitem")),
                "flight": lambda: over_adbc(flight, of("lineitem")),
                "duckdb": lambda: in_process(here, of("lineitem")),
                "filtered": lambda: in_process(here, of(_FILTERED)),
            }

        full, clear, q1 = ways(ALL_COLUMNS), ways(CLEAR_COLUMNS), ways(Q1)
        of_agent = (MASKED.name, OPEN.name)
        return [
            _scan("full scan", alternate(_only(full, *of_agent, "flight", "duckdb"), given.rounds)),
            _scan("the 14 clear columns", alternate(_only(clear, *of_agent), given.rounds)),
            _q1(alternate({name: _fastest(read) for name, read in q1.items()}, given.rounds)),
        ]


def _only(ways: Mapping[str, Callable[[], Read]], *names: str) -> dict[str, Callable[[], Read]]:
    return {name: ways[name] for name in names}


def _fastest(read: Callable[[], Read]) -> Callable[[], Read]:
    """A short read is measured a few times in each round."""
    return lambda: min((read() for _ in range(_REPEATED)), key=lambda one: one.seconds)


def _scan(title: str, reads: Mapping[str, Sequence[Read]]) -> Section:
    figures = [
        Figure(_NAMES[name], Spread.of([read.megabytes_per_second for read in of]), "MB/s")
        for name, of in reads.items()
    ]
    figures.append(_ratio("governed / allow all", reads[MASKED.name], reads[OPEN.name], _RATIO))
    if "flight" in reads:
        figures.append(_ratio("allow all / bare Flight", reads[OPEN.name], reads["flight"]))
    return Section(f"Scan: {title}", figures, _sizes(reads[MASKED.name][0], reads[OPEN.name][0]))


def _q1(reads: Mapping[str, Sequence[Read]]) -> Section:
    figures = [
        Figure(_NAMES[name], Spread.of([read.seconds * 1e3 for read in of]), "ms")
        for name, of in reads.items()
    ]
    figures += [
        _ratio("governed / allow all", reads[MASKED.name], reads[OPEN.name], _RATIO),
        _ratio("in process, with / without the filter", reads["filtered"], reads["duckdb"]),
        _ratio("allow all / bare Flight", reads[OPEN.name], reads["flight"]),
    ]
    note = (
        f"The fastest of {_REPEATED} in each round; the ratios are of speed. The row filter needs "
        "a column that q1 does not read: what that costs DuckDB alone is shown beside."
    )
    return Section("Scan: TPC-H q1", figures, note)


def _ratio(
    what: str, above: Sequence[Read], below: Sequence[Read], target: Target | None = None
) -> Figure:
    speeds = [[read.rows_per_second for read in reads] for reads in (above, below)]
    return Figure(what, ratios(*speeds), "×", target)


def _sizes(masked: Read, plain: Read) -> str:
    return (
        f"Governed: {masked.rows:,} rows, {masked.bytes / 1e6:,.1f} MB of Arrow; allow all: "
        f"{plain.rows:,} rows, {plain.bytes / 1e6:,.1f} MB. The ratio is of rows per second."
    )
