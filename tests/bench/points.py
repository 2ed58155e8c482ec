"""Point queries: one order's items, by the same client from the agent and from a bare server."""

import random
from collections.abc import Callable, Mapping
from contextlib import ExitStack

from tests.bench.lineitem import MASKED
from tests.bench.measuring import Figure, Section, Spread, Target, alternate, percentiles
from tests.bench.reading import Read, in_process, over_adbc
from tests.bench.sales import connect
from tests.bench.surroundings import Surroundings
from tests.bench.ungoverned import database

_QUERIES = 60
_ORDERS = 1_500_000
_OVERHEAD = {50: Target(5.0), 99: Target(10.0)}
_SEED = 20
_SELECT = (
    "SELECT l_linenumber, l_partkey, l_quantity, l_shipdate, l_comment "
    "FROM {table} WHERE l_orderkey = "
)


def points(given: Surroundings) -> list[Section]:
    """With a bound parameter, and with a literal that makes every statement a new one."""
    with ExitStack() as stack:
        agent = stack.enter_context(given.sales.connect())
        flight = stack.enter_context(connect(given.ungoverned, ""))
        here = stack.enter_context(database(given.lineitem))
        governed = _SELECT.format(table=f"{MASKED.name}.lineitem")
        bare = _SELECT.format(table="lineitem")
        ways: dict[str, Callable[[int], Read]] = {
            "agent, bound": lambda key: over_adbc(agent, f"{governed}?", (key,)),
            "bare Flight, bound": lambda key: over_adbc(flight, f"{bare}?", (key,)),
            "DuckDB in process, bound": lambda key: in_process(here, f"{bare}?", (key,)),
            "agent, literal": lambda key: over_adbc(agent, f"{governed}{key}"),
            "bare Flight, literal": lambda key: over_adbc(flight, f"{bare}{key}"),
        }
        keys = random.Random(_SEED)  # noqa: S311 - nothing secret is drawn
        rounds = alternate({"": lambda: _round(ways, keys)}, given.rounds)[""]
    times = {name: [each[name] for each in rounds] for name in ways}
    figures = [
        Figure(f"{name}, p{percent}", percentiles(of, percent, 1e3), "ms")
        for name, of in times.items()
        for percent in (50, 99)
    ]
    figures += [
        Figure(f"overhead, {kind}, p{percent}", _overhead(times, kind, percent), "ms", target)
        for kind in ("bound", "literal")
        for percent, target in _OVERHEAD.items()
    ]
    note = (
        "The overhead is the agent's figure less that of the bare server, round by round. Both get "
        "the same calls from the same client: prepare, (bind,) info, read, close."
    )
    return [Section("Point query over ADBC", figures, note)]


def _round(
    ways: Mapping[str, Callable[[int], Read]], keys: random.Random
) -> dict[str, list[float]]:
    """Each query every way before the next one, so that a busy moment meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(_QUERIES):
        key = _key(keys)
        for name, read in ways.items():
            times[name].append(read(key).seconds)
    return times


def _overhead(times: Mapping[str, list[list[float]]], kind: str, percent: int) -> Spread:
    def of(name: str) -> list[float]:
        return [percentiles([samples], percent, 1e3).median for samples in times[f"{name}, {kind}"]]

    pairs = zip(of("agent"), of("bare Flight"), strict=True)
    return Spread.of([agent - bare for agent, bare in pairs])


def _key(keys: random.Random) -> int:
    """An order that exists: TPC-H uses 8 of every 32 keys."""
    order = keys.randrange(1, _ORDERS)
    return order // 8 * 32 + order % 8
