"""Pseudonymising scans: how many pseudonyms an agent makes and delivers in a second."""

from collections.abc import Callable, Sequence

from tests.bench.lineitem import KEYED, OPEN
from tests.bench.measuring import Figure, Section, Spread, alternate, ratios
from tests.bench.reading import Read, over_adbc
from tests.bench.surroundings import Surroundings

_SQL = "SELECT {column} FROM {product}.lineitem WHERE l_orderkey < 1000000"
_COLUMNS = {"text": "l_comment", "numbers": "l_partkey"}


def pseudonyms(given: Surroundings) -> list[Section]:
    """A million values of text, and of 64-bit integers, beside the same values in clear."""
    with given.sales.connect() as connection:

        def scan(column: str, product: str) -> Callable[[], Read]:
            sql = _SQL.format(column=column, product=product)
            return lambda: over_adbc(connection, sql)

        reads = alternate(
            {
                (kind, product.name): scan(column, product.name)
                for kind, column in _COLUMNS.items()
                for product in (KEYED, OPEN)
            },
            given.rounds,
        )
    figures = []
    for kind in _COLUMNS:
        keyed, clear = _speeds(reads[kind, KEYED.name]), _speeds(reads[kind, OPEN.name])
        figures += [
            Figure(f"pseudonyms of {kind}", Spread.of(keyed), "M/s"),
            Figure(f"{kind} in clear", Spread.of(clear), "M/s"),
            Figure(f"pseudonyms of {kind} / in clear", ratios(keyed, clear), "×"),
        ]
    rows = reads["text", KEYED.name][0].rows
    return [Section("Pseudonyms", figures, f"{rows:,} values in each read, to the client.")]


def _speeds(reads: Sequence[Read]) -> list[float]:
    return [read.rows_per_second / 1e6 for read in reads]
