"""Measurements: alternated, warmed up, told as median with the lowest and the highest."""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

Name = TypeVar("Name", bound=Hashable)
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Spread:
    """What rounds gave."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """The spread of at least one value."""
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True, slots=True)
class Target:
    """What a figure shall be, at most or at least."""

    value: float
    at_most: bool = True

    def met(self, measured: Spread) -> bool:
        """Whether the median is as it shall be."""
        if self.at_most:
            return measured.median <= self.value
        return measured.median >= self.value


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured number; one without a target is shown for comparison."""

    what: str
    measured: Spread
    unit: str
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """The figures that belong together, and what a reader must know of them."""

    title: str
    figures: Sequence[Figure]
    note: str = ""


def alternate(
    variants: Mapping[Name, Callable[[], Result]], rounds: int
) -> dict[Name, list[Result]]:
    """Run each variant once to warm up, then all of them in turn, round after round."""
    for run in variants.values():
        run()
    results: dict[Name, list[Result]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, run in variants.items():
            results[name].append(run())
    return results


def timed(calls: Sequence[Callable[[], object]]) -> list[float]:
    """How long each call took, in seconds."""
    times = []
    for call in calls:
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return times


def percentile(samples: Sequence[float], percent: int) -> float:
    """That percentile of at least two samples."""
    return statistics.quantiles(samples, n=100, method="inclusive")[percent - 1]


def percentiles(rounds: Sequence[Sequence[float]], percent: int, scale: float) -> Spread:
    """The spread over rounds of a percentile, in units of which a second has `scale`."""
    return Spread.of([percentile(samples, percent) * scale for samples in rounds])


def ratios(above: Sequence[float], below: Sequence[float]) -> Spread:
    """The spread of the ratios, round by round."""
    return Spread.of([a / b for a, b in zip(above, below, strict=True)])
