"""Point queries: one order's items, by the same client from the agent and from a bare server."""

import random
from collections.abc import Callable
from contextlib import ExitStack

from tests.bench.lineitem import MASKED
from tests.bench.measuring import Figure, Section, Spread, Target, alternate, percentiles
from tests.bench.reading import Read, in_process, over_adbc
from tests.bench.sales import connect
from tests.bench.surroundings import Surroundings
from tests.bench.ungoverned import database

_QUERIES = 40
_ORDERS = 1_500_000
_OVERHEAD_MS = 5.0
_SEED = 20
_BOUND = "SELECT * FROM {table} WHERE l_orderkey = ?"
_LITERAL = "SELECT * FROM {table} WHERE l_orderkey = {key}"


def points(given: Surroundings) -> list[Section]:
    """With a bound parameter, and with a literal that makes every statement a new one."""
    keys = random.Random(_SEED)  # noqa: S311 - nothing secret is drawn
    with ExitStack() as stack:
        agent = stack.enter_context(given.sales.connect())
        flight = stack.enter_context(connect(given.ungoverned, ""))
        here = stack.enter_context(database(given.lineitem))
        governed = f"{MASKED.name}.lineitem"

        def bound(read: Callable[[str, tuple[int]], Read], table: str) -> list[float]:
            sql = _BOUND.format(table=table)
            return _times(lambda: read(sql, (_key(keys),)))

        def literal(read: Callable[[str], Read], table: str) -> list[float]:
            return _times(lambda: read(_LITERAL.format(table=table, key=_key(keys))))

        times = alternate(
            {
                "agent, bound": lambda: bound(lambda s, p: over_adbc(agent, s, p), governed),
                "bare Flight, bound": lambda: bound(
                    lambda s, p: over_adbc(flight, s, p), "lineitem"
                ),
                "in process, bound": lambda: bound(lambda s, p: in_process(here, s, p), "lineitem"),
                "agent, literal": lambda: literal(lambda s: over_adbc(agent, s), governed),
                "bare Flight, literal": lambda: literal(lambda s: over_adbc(flight, s), "lineitem"),
            },
            given.rounds,
        )
    return [
        Section(
            "Point query over ADBC",
            [
                *(
                    Figure(f"{name}, p{percent}", percentiles(of, percent, 1e3), "ms")
                    for name, of in times.items()
                    for percent in (50, 99)
                ),
                *(
                    Figure(
                        f"overhead, {kind}, p50",
                        _overhead(times[f"agent, {kind}"], times[f"bare Flight, {kind}"]),
                        "ms",
                        Target(_OVERHEAD_MS),
                    )
                    for kind in ("bound", "literal")
                ),
            ],
            "The overhead is the agent's median less that of the bare server, round by round. "
            "Both get the same calls from the same client: prepare, (bind,) info, read, close.",
        )
    ]


def _overhead(agent: list[list[float]], bare: list[list[float]]) -> Spread:
    pairs = zip(agent, bare, strict=True)
    return Spread.of([(_median(a) - _median(b)) * 1e3 for a, b in pairs])


def _median(times: list[float]) -> float:
    return Spread.of(times).median


def _times(read: Callable[[], Read]) -> list[float]:
    return [read().seconds for _ in range(_QUERIES)]


def _key(keys: random.Random) -> int:
    """An order that exists: TPC-H uses 8 of every 32 keys."""
    order = keys.randrange(1, _ORDERS)
    return order // 8 * 32 + order % 8
