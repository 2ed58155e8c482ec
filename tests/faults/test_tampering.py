"""S14: an export is tampered with at random; each change is told, and where it is named."""

from collections.abc import Callable

from tests.faults.tally import Scale, Trial
from tests.unit.evidence.tampering import tamper

FAULT = "an export is changed, cut, reordered, replayed or mixed with another, at random"


def test_every_change_of_an_export_is_told_and_named(
    scale: Scale, trial: Callable[[str, str], Trial]
) -> None:
    row, count = trial("S14", FAULT), scale.of(10_000, 200)
    told = tamper(count, 20_261_125)
    row.tried = count
    row.count("changes told, the right record named", told.total())
    row.count("changes not told", count - told.total())
    assert told.total() == count
