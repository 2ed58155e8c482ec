"""Decisions: remembered, evaluated by the embedded engine, evaluated by OPA over REST."""

from collections.abc import Callable
from contextlib import closing
from itertools import count

from mesh.decisions.deciding import Decider
from mesh.decisions.layers import with_declarations
from mesh.decisions.opa_engine import OpaEngine
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.decisions.shipped import shipped
from tests.bench.decided import asked
from tests.bench.measuring import Figure, Section, Target, alternate, percentiles, timed
from tests.bench.surroundings import Surroundings
from tests.differential.opa_server import running_opa

_UNCACHED, _CACHED, _RULES = 300, 3_000, 10
_CACHED_US, _UNCACHED_MS = Target(50.0), Target(1.5)


def decisions(given: Surroundings) -> list[Section]:
    """Median and 99th percentile; uncached ones of inputs that were never seen before."""
    library = shipped("library")
    fresh = count()
    with (
        running_opa() as server,
        closing(RegopyEngine()) as embedded,
        closing(RegopyEngine()) as layered,
        closing(OpaEngine(server.url)) as opa,
    ):
        deciders = {
            "regopy, uncached": _decider(embedded, library),
            "regopy, uncached, 10 domain rules": _decider(layered, _with_rules(library)),
            "OPA over REST, uncached": _decider(opa, library),
        }
        times = alternate(
            {name: _uncached(decider, fresh) for name, decider in deciders.items()}
            | _cached(deciders["regopy, uncached"]),
            given.rounds,
        )
    figures = []
    for name, rounds in times.items():
        is_cached = name.startswith("cached")
        unit, scale = ("µs", 1e6) if is_cached else ("ms", 1e3)
        targets = {"cached": _CACHED_US, "regopy, uncached": _UNCACHED_MS}
        for percent in (50, 99):
            target = targets.get(name) if percent == 50 else None
            spread = percentiles(rounds, percent, scale)
            figures.append(Figure(f"{name}, p{percent}", spread, unit, target))
    return [
        Section(
            "Decision",
            figures,
            "Six column classes. Uncached: the whole way from the input to the checked decision, "
            "with the pipe to the engine's process, or HTTP on loopback.",
        )
    ]


def _decider(engine: RegopyEngine | OpaEngine, policy: Policy) -> Decider:
    decider = Decider(engine)
    decider.load(policy)
    assert decider.decide(asked(0)).decision.allow
    return decider


def _uncached(decider: Decider, fresh: "count[int]") -> Callable[[], list[float]]:
    def run() -> list[float]:
        inputs = [asked(next(fresh)) for _ in range(_UNCACHED)]
        return timed([lambda one=one: decider.decide(one) for one in inputs])  # type: ignore[misc]

    return run


def _cached(decider: Decider) -> dict[str, Callable[[], list[float]]]:
    known = asked(0)
    return {
        "cached": lambda: timed([lambda: decider.decide(known)] * _CACHED),
        "cached, building the input too": lambda: timed(
            [lambda: decider.decide(asked(0))] * _CACHED
        ),
    }


def _with_rules(library: Policy) -> Policy:
    """The library with a domain's layer that requires ten things, all of them given."""
    rules = [
        f'require["domain.rule_{number}"] if {{\n\tinput.agent.domain == "bookings"\n'
        f'\tinput.purpose != "forbidden-{number}"\n}}\n'
        for number in range(_RULES)
    ]
    text = "\n".join(["package mesh.domain\n", *rules])
    return with_declarations({**library.modules, "domain/rules.rego": text})
