"""Whether a row filter keeps fewer rows than another did; when in doubt, it does."""

from collections.abc import Mapping

from mesh.filters import (
    Both,
    Comparison,
    Either,
    Filter,
    Operator,
    Scalar,
    parse_filter,
)


def narrows(before: Mapping[str, object] | None, after: Mapping[str, object] | None) -> bool:
    """Whether some row that was kept may be kept no longer. No filter keeps every row."""
    if after is None:
        return False
    if before is None:
        return True
    return not _implies(parse_filter(before), parse_filter(after))


def _implies(one: Filter, other: Filter) -> bool:
    """Whether every row that one keeps is surely kept by the other."""
    match one, other:
        case Either(filters=parts), _:
            return all(_implies(part, other) for part in parts)
        case _, Both(filters=parts):
            return all(_implies(one, part) for part in parts)
        case Comparison(), Comparison():
            return one == other or (one.column == other.column and _covers(one, other))
    narrower = one.filters if isinstance(one, Both) else ()
    wider = other.filters if isinstance(other, Either) else ()
    return (
        one == other
        or any(_implies(part, other) for part in narrower)
        or any(_implies(one, part) for part in wider)
    )


def _covers(one: Comparison, other: Comparison) -> bool:
    """Whether a value that passes one comparison of a column passes the other."""
    members, wider = _members(one), _members(other)
    if members is not None and wider is not None:
        return all(any(_same(member, w) for w in wider) for member in members)
    if other.operator is Operator.IS_NULL:
        return other.value is False and one.operator is not Operator.IS_NULL
    return False


def _members(comparison: Comparison) -> tuple[Scalar, ...] | None:
    """The only values that pass, when they are listed."""
    if comparison.operator is Operator.EQ and not isinstance(comparison.value, tuple):
        return (comparison.value,)
    if comparison.operator is Operator.IN and isinstance(comparison.value, tuple):
        return comparison.value
    return None


def _same(one: Scalar, other: Scalar) -> bool:
    return type(one) is type(other) and one == other
