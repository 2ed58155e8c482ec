"""How long connected agents took to enforce what changed, for each classification. Pure."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from control_plane.timeline.rules import Distributed
from mesh.contracts.values import Classification


@dataclass(frozen=True, slots=True)
class Step:
    """The latest acknowledgement of a step, from one revision to another, of a domain's agents."""

    domain: str
    previous: int
    revision: int
    time: datetime


@dataclass(frozen=True, slots=True)
class Measured:
    """The longest time to enforcement, and how many changes were measured."""

    slowest: timedelta
    changes: int


Classes = Callable[[str], Collection[Classification]]


def measured(
    changes: Iterable[Distributed], steps: Iterable[Step], classes: Classes
) -> Mapping[Classification, Measured]:
    """Of each classification what was measured, where anything was.

    `classes` are those of a product's datasets; a change that concerns no product counts for all.
    """
    by_domain: dict[str | None, list[Distributed]] = {None: []}
    for change in sorted(changes, key=lambda one: one.revision):
        by_domain.setdefault(change.domain, []).append(change)
    delays: dict[Distributed, timedelta] = {}
    for step in steps:
        for domain in (step.domain, None):
            for change in _within(by_domain.get(domain, ()), step):
                delay = max(step.time - change.time, timedelta())
                delays[change] = max(delay, delays.get(change, delay))
    found: dict[Classification, Measured] = {}
    for change, delay in delays.items():
        for one in classes(change.product) if change.product else Classification:
            before = found.get(one, Measured(timedelta(), 0))
            found[one] = Measured(max(before.slowest, delay), before.changes + 1)
    return found


def _within(changes: Collection[Distributed], step: Step) -> Iterable[Distributed]:
    """The changes that an agent learns of by a step."""
    ordered = list(changes)
    first = bisect_right(ordered, step.previous, key=lambda one: one.revision)
    return ordered[first : bisect_left(ordered, step.revision + 1, key=lambda one: one.revision)]
