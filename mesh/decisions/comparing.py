"""What changes for a reader when another policy decides on the same input. Pure.

A gain is anything that shows more than before: an access, a milder mask, a row filter less, a
limit raised. What shows less is a loss.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from mesh.decisions.values import Decision
from mesh.evidence.canonical import canonical
from mesh.masks import Mask, strictness


class Kind(StrEnum):
    """Who gains or loses what; worst first."""

    ACCESS_GAINED = "access gained"
    COLUMN_EXPOSED = "column exposed"
    ROWS_GAINED = "rows gained"
    ACCESS_LOST = "access lost"
    COLUMN_MASKED = "column masked"
    ROWS_LOST = "rows lost"

    @property
    def gains(self) -> bool:
        """Whether somebody sees more than before."""
        return self in (Kind.ACCESS_GAINED, Kind.COLUMN_EXPOSED, Kind.ROWS_GAINED)


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that changes: of a column class by its id, or of the dataset where that is empty.

    `before` and `after` are masks, verdicts, or the rules that limit rows, in words.
    """

    kind: Kind
    class_id: str
    before: str
    after: str


def differences(
    document: Mapping[str, object], before: Decision, after: Decision
) -> Iterator[Difference]:
    """What changes from one decision on an input to another."""
    if before.allow != after.allow:
        kind = Kind.ACCESS_GAINED if after.allow else Kind.ACCESS_LOST
        yield Difference(kind, "", _verdict(before), _verdict(after))
        for class_id in _classes(document):
            yield from _mask(class_id, before, after)
        return
    for class_id in _classes(document):
        yield from _mask(class_id, before, after)
    yield from _rows(before, after)


def _mask(class_id: str, before: Decision, after: Decision) -> Iterator[Difference]:
    """A class that nobody was shown was as good as dropped."""
    old, new = (
        one.masks[class_id].mask if class_id in one.masks else Mask.DROP for one in (before, after)
    )
    if strictness(new) < strictness(old):
        yield Difference(Kind.COLUMN_EXPOSED, class_id, old.value, new.value)
    elif strictness(new) > strictness(old):
        yield Difference(Kind.COLUMN_MASKED, class_id, old.value, new.value)


def _rows(before: Decision, after: Decision) -> Iterator[Difference]:
    """Filters are compared as they stand: one that is written differently counts as another."""
    old, new = ({canonical(row.filter): row.rule for row in one.rows} for one in (before, after))
    gone, come = old.keys() - new.keys(), new.keys() - old.keys()
    told = _filters(old), _filters(new)
    if gone:
        yield Difference(Kind.ROWS_GAINED, "", *told)
    elif come:
        yield Difference(Kind.ROWS_LOST, "", *told)
    for name in sorted(before.limits.keys() | after.limits.keys()):
        limits = before.limits.get(name), after.limits.get(name)
        if limits[0] != limits[1]:
            yield Difference(_limit(name, *limits), "", *(_limit_words(name, x) for x in limits))


def _limit(name: str, before: int | None, after: int | None) -> Kind:
    if before is None or after is None:
        return Kind.ROWS_LOST if before is None else Kind.ROWS_GAINED
    # Fewer rows are less, but groups may be larger only.
    shows_more = after > before if name == "rows" else after < before
    return Kind.ROWS_GAINED if shows_more else Kind.ROWS_LOST


def _limit_words(name: str, limit: int | None) -> str:
    return f"no limit of {name}" if limit is None else f"{name} {limit}"


def _filters(rules: Mapping[bytes, str]) -> str:
    return ", ".join(sorted(rules.values())) or "all rows"


def _verdict(decision: Decision) -> str:
    return "allowed" if decision.allow else f"refused: {', '.join(decision.reasons)}"


def _classes(document: Mapping[str, object]) -> list[str]:
    match document:
        case {"dataset": {"classes": [*classes]}}:
            return [class_["id"] for class_ in classes]
    return []
