"""Decisions as documents: what a policy returns and what evidence keeps."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import TypeGuard

from mesh.decisions.values import Decision, MaskChoice, RowRule
from mesh.errors import PolicyError
from mesh.evidence.canonical import canonical
from mesh.filters import parse_filter
from mesh.masks import Mask
from mesh.times import parse_rfc3339, rfc3339

_KEYS = frozenset({"allow", "reasons", "masks", "rows", "limits", "valid_until"})
_RULE = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")
_CLASS = re.compile(r"c[0-9]{1,2}")
# Each limit's least value, and the first that is too large.
# The least value of each limit, and the first that is too large.
LIMITS = {"rows": (1, 1_000_000_000_000), "group": (2, 1_000_000_000)}


def parse_decision(document: object) -> Decision:
    """The decision that a document states. Raises PolicyError at the first surprise."""
    if not _is_object(document) or set(document) != _KEYS:
        raise _surprise("it has the keys " + ", ".join(sorted(_KEYS)))
    allow = document["allow"]
    if not isinstance(allow, bool):
        raise _surprise("`allow` is true or false")
    decision = Decision(
        allow=allow,
        reasons=_rules(document["reasons"], "reasons"),
        masks=_masks(document["masks"]),
        rows=_rows(document["rows"]),
        limits=_limits(document["limits"]),
        valid_until=_instant(document["valid_until"]),
    )
    if allow and decision.reasons:
        raise _surprise("one that allows has no reasons")
    if not allow and not decision.reasons:
        raise _surprise("one that denies has reasons")
    if not allow and (decision.masks or decision.rows or decision.limits):
        raise _surprise("one that denies has no masks, rows or limits")
    return decision


def decision_document(decision: Decision) -> dict[str, object]:
    """The document of a decision, with every array sorted."""
    return {
        "allow": decision.allow,
        "reasons": sorted(decision.reasons),
        "masks": {
            class_: {"mask": choice.mask.value, "rules": sorted(choice.rules)}
            for class_, choice in sorted(decision.masks.items())
        },
        "rows": [
            {"rule": row.rule, "filter": row.filter} for row in sorted(decision.rows, key=_row_key)
        ],
        "limits": dict(decision.limits),
        "valid_until": rfc3339(decision.valid_until) if decision.valid_until else None,
    }


def denial(reason: str) -> Decision:
    """The decision that denies for one reason and says nothing else."""
    return Decision(allow=False, reasons=(reason,))


def _masks(value: object) -> dict[str, MaskChoice]:
    if not _is_object(value):
        raise _surprise("`masks` is an object by class")
    return {class_: _mask(class_, choice) for class_, choice in sorted(value.items())}


def _mask(class_: str, choice: object) -> MaskChoice:
    if _CLASS.fullmatch(class_) is None:
        raise _surprise("`masks` has the input's classes as keys")
    if not _is_object(choice) or set(choice) != {"mask", "rules"}:
        raise _surprise(f"the mask of {class_} has the keys mask and rules")
    rules = _rules(choice["rules"], f"rules of {class_}")
    if not rules:
        raise _surprise(f"the mask of {class_} names the rules that chose it")
    try:
        mask = Mask(str(choice["mask"]))
    except ValueError:
        raise _surprise(f"the mask of {class_} is one of " + ", ".join(Mask)) from None
    return MaskChoice(mask, rules)


def _rows(value: object) -> tuple[RowRule, ...]:
    if not isinstance(value, list):
        raise _surprise("`rows` is a list")
    rows = []
    for row in value:
        if not _is_object(row) or set(row) != {"filter", "rule"}:
            raise _surprise("a row rule has the keys filter and rule")
        (rule,) = _rules([row["rule"]], "row rule")
        filter_ = row["filter"]
        try:
            parse_filter(filter_)
        except ValueError:
            raise _surprise(f"the filter of {rule} is a structured row filter") from None
        if not _is_object(filter_):
            raise _surprise(f"the filter of {rule} is an object")
        rows.append(RowRule(rule, filter_))
    return tuple(sorted(rows, key=_row_key))


def _row_key(row: RowRule) -> tuple[str, bytes]:
    return row.rule, canonical(row.filter)


def _limits(value: object) -> dict[str, int]:
    if not _is_object(value) or not set(value) <= LIMITS.keys():
        raise _surprise("`limits` has at most the keys rows and group")
    limits: dict[str, int] = {}
    for name, limit in value.items():
        least, too_large = LIMITS[name]
        if type(limit) is not int or not least <= limit < too_large:
            raise _surprise(
                f"the limit {name} is a whole number from {least} on, below {too_large}"
            )
        limits[name] = limit
    return limits


def _instant(value: object) -> datetime | None:
    if value is None:
        return None
    try:
        instant = parse_rfc3339(value) if isinstance(value, str) else None
    except ValueError:
        instant = None
    if instant is None or rfc3339(instant) != value:
        raise _surprise("`valid_until` is null or an instant such as 2026-03-01T12:00:00Z")
    return instant


def _rules(value: object, what: str) -> tuple[str, ...]:
    """Rule ids, sorted and each once."""
    if not isinstance(value, list):
        raise _surprise(f"the {what} are a list")
    for rule in value:
        if not isinstance(rule, str) or _RULE.fullmatch(rule) is None:
            raise _surprise(f"the {what} are dotted lower-case ids")
    if value != sorted(set(value)):
        raise _surprise(f"the {what} are sorted, each once")
    return tuple(value)


def _is_object(value: object) -> TypeGuard[Mapping[str, object]]:
    return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)


def _surprise(rule: str) -> PolicyError:
    """Says which rule for decisions is broken, never what the policy returned: it may be data."""
    return PolicyError(f"the policy returned something that is not a decision: {rule}")
