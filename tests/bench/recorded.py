"""What evidence costs a reader: reads at an agent that keeps it and at one that does not."""

import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import adbc_driver_flightsql.dbapi as flightsql

from examples.airline.processes import Mesh
from tests.bench.lineitem import MASKED
from tests.bench.measuring import Figure, Section, Spread, Target, alternate, percentiles, ratios
from tests.bench.reading import over_adbc
from tests.bench.sales import Sales, start_sales
from tests.bench.surroundings import Surroundings

# Two is what an agent of four workers gives one caller.
_READS, _READERS, _EACH = 80, 2, 100
_KEYS = 6_000_000
_SQL = f"SELECT l_linenumber, l_comment FROM {MASKED.name}.lineitem WHERE l_orderkey = ?"


def recorded(given: Surroundings) -> list[Section]:
    """Point queries with a bound parameter, one after the other and two at a time."""
    folder = given.folder / "unrecorded"
    folder.mkdir()
    mesh = given.stack.enter_context(Mesh(folder))
    inside = (sys.executable, "-m", "tests.bench.unrecorded")
    forgetful = start_sales(mesh, given.lineitem.parent, inside)
    with ExitStack() as stack:
        kept, lost = (stack.enter_context(s.connect()) for s in (given.sales, forgetful))
        alone: dict[str, Callable[[], list[float]]] = {
            "with evidence": lambda: _latencies(kept),
            "without": lambda: _latencies(lost),
        }
        times = alternate(alone, given.rounds)
    together: dict[str, Callable[[], float]] = {
        "with evidence": lambda: _together(given.sales),
        "without": lambda: _together(forgetful),
    }
    rates = alternate(together, given.rounds)
    added = [
        percentiles([a], 50, 1e3).median - percentiles([b], 50, 1e3).median
        for a, b in zip(*times.values(), strict=True)
    ]
    figures = [Figure(f"{n}, p50", percentiles(of, 50, 1e3), "ms") for n, of in times.items()]
    figures.append(Figure("added by evidence, p50", Spread.of(added), "ms", Target(1.0)))
    figures += [
        Figure(f"{name}, {_READERS} readers", Spread.of(of), "reads/s")
        for name, of in rates.items()
    ]
    figures.append(Figure("ratio of those rates", ratios(*rates.values()), "×"))
    note = "Two agents of two meshes; the one without evidence exists in the benchmark only."
    return [Section("What evidence adds to a read over ADBC", figures, note)]


def _latencies(connection: flightsql.Connection) -> list[float]:
    return [over_adbc(connection, _SQL, (_key(number),)).seconds for number in range(_READS)]


def _together(sales: Sales) -> float:
    """Reads in a second, from several readers at once."""

    def reads(reader: int) -> None:
        with sales.connect() as connection:
            for number in range(_EACH):
                over_adbc(connection, _SQL, (_key(reader * _EACH + number),))

    with ThreadPoolExecutor(_READERS) as threads:
        began = time.perf_counter()
        for done in [threads.submit(reads, reader) for reader in range(_READERS)]:
            done.result()
    return _READERS * _EACH / (time.perf_counter() - began)


def _key(number: int) -> int:
    """An order somewhere in the table."""
    return number * 7_919 * 32 % _KEYS + 1
