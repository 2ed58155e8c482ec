"""What a layer may state in its masks, rows, limits and ends, said in words. Pure.

The library refuses the same with `policy.error`, which says less.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from mesh.decisions.documents import LIMITS
from mesh.filters import parse_filter
from mesh.masks import Mask

# Where the library gathers each, by the name that layers state it under.
GATHERED = {"masks": "masks", "rows": "rows", "limits": "caps", "valid_until": "valid_until"}
_RULE = re.compile(r"(organisation|domain)(\.[a-z0-9_]+)+")
_INSTANT = re.compile(r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\dZ", re.ASCII)


@dataclass(frozen=True, slots=True)
class Malformed:
    """A statement that can't be applied: what it is part of, the rule it names, and why."""

    name: str
    rule: str | None
    words: str


def malformed(name: str, value: object, classes: Collection[str]) -> list[Malformed]:
    """Every malformed one of what a layer states under a name."""
    look = _LOOKS[name]
    found = []
    for one in value if isinstance(value, list) else [value]:
        words = look(one, classes)
        if words is not None:
            rule = one.get("rule") if isinstance(one, Mapping) else None
            found.append(Malformed(name, rule if isinstance(rule, str) else None, words))
    return found


def _mask(one: object, classes: Collection[str]) -> str | None:
    if not isinstance(one, Mapping) or set(one) != {"rule", "class", "mask"}:
        return "a mask is an object of rule, class and mask"
    if one["class"] not in classes:
        return "a mask is for the `id` of one of `input.dataset.classes`"
    if one["mask"] not in set(Mask):
        return "a mask is one of " + ", ".join(Mask)
    return _named(one["rule"])


def _row(one: object, _: Collection[str]) -> str | None:
    if not isinstance(one, Mapping) or set(one) != {"rule", "filter"}:
        return "a row rule is an object of rule and filter"
    try:
        parse_filter(one["filter"])
    except ValueError:
        return "a row filter is structured: column, op and value, or and, or, not of such"
    return _named(one["rule"])


def _limit(one: object, _: Collection[str]) -> str | None:
    match one:
        case dict() if len(one) == 1:
            ((name, limit),) = one.items()
            least, too_large = LIMITS.get(name, (0, 0))
            if type(limit) is int and least <= limit < too_large:
                return None
    return (
        'a limit is `{"rows": n}` with a whole number above 0, or `{"group": n}` with one from 2 on'
    )


def _end(one: object, _: Collection[str]) -> str | None:
    if isinstance(one, str) and _INSTANT.fullmatch(one):
        return None
    return "an end is an instant in UTC such as 2026-12-01T18:00:00Z"


def _named(rule: object) -> str | None:
    if isinstance(rule, str) and _RULE.fullmatch(rule):
        return None
    return "a rule is named `<layer>.<lower_case>`, so that `mesh why` can tell of it"


_LOOKS: Mapping[str, Callable[[object, Collection[str]], str | None]] = {
    "masks": _mask,
    "rows": _row,
    "limits": _limit,
    "valid_until": _end,
}
