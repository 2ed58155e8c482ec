"""Rules for roles: names, what the mesh enforces of them, and filters that fit every dataset."""

from collections.abc import Callable, Iterator
from datetime import date, datetime

from mesh.contracts.columns import columns
from mesh.contracts.extensions import extension, extension_path
from mesh.contracts.masks import Family, logical_family
from mesh.contracts.problems import Findings, Path, closest, shown
from mesh.contracts.shapes import Element, entries, text
from mesh.decisions.filters import (
    Both,
    Comparison,
    Either,
    Filter,
    Negation,
    Operator,
    Scalar,
    columns_of,
    parse_filter,
)
from mesh.names import HYPHENATED_RULE, is_hyphenated, is_name

# Filters travel as canonical JSON, whose numbers are exact up to here.
MAX_NUMBER = 2**53 - 1
_ORDERED = frozenset({Operator.LT, Operator.LE, Operator.GT, Operator.GE})


def check_roles(contract: Element, findings: Findings) -> None:
    """Note what keeps a role from being asked for or enforced."""
    roles = list(entries(contract, "roles"))
    if not roles and not findings.at_or_below(("roles",)):
        where: Path = ("roles",) if "roles" in contract else ()
        findings.add(where, "no role; list at least one that a consumer can ask for")
    seen: set[str] = set()
    for index, role in roles:
        path: Path = ("roles", index)
        name = text(role, "role")
        if name is not None:
            if not (is_name(name) or is_hyphenated(name)):
                message = f"is {shown(name)}; allowed is {HYPHENATED_RULE} (or _ for -)"
                findings.add((*path, "role"), message)
            if name in seen:
                findings.add((*path, "role"), f"a second role {shown(name)}")
            seen.add(name)
        _check_unenforced(role, path, findings)
        _check_filter(contract, role, path, findings)


def _check_unenforced(role: Element, path: Path, findings: Findings) -> None:
    """What a role says and the mesh would not do is refused, never skipped."""
    access = text(role, "access")
    if access is not None and access != "read":
        findings.add((*path, "access"), f"is {shown(access)}; allowed is `read`")
    for key in ("firstLevelApprovers", "secondLevelApprovers"):
        if key in role:
            message = "the product's owners approve; leave it out"
            findings.add((*path, key), message)


def _check_filter(contract: Element, role: Element, path: Path, findings: Findings) -> None:
    document = extension(role, "mesh.rowFilter")
    if not isinstance(document, dict):
        return
    where = extension_path(role, path, "mesh.rowFilter")
    try:
        filter_ = parse_filter(document)
    except ValueError as error:
        findings.add(where, str(error))
        return
    comparisons = list(_comparisons(filter_))
    for _, dataset in entries(contract, "schema"):
        if findings.full:
            return
        types = {text(c, "name"): text(c, "logicalType") for _, c in columns(dataset)}
        for column in sorted(columns_of(filter_) - types.keys()):
            near = closest(column, [name for name in types if name])
            message = (
                f"the dataset {shown(dataset.get('name'))} has no column {shown(column)}{near}"
            )
            findings.add(where, message)
        for comparison in comparisons:
            logical = types.get(comparison.column)
            wrong = _misfit(comparison, logical_family(logical)) if logical else None
            if wrong:
                findings.add(where, f"`{comparison.column}` is {logical}: {wrong}")


def _comparisons(filter_: Filter) -> Iterator[Comparison]:
    match filter_:
        case Comparison():
            yield filter_
        case Negation(filter=inner):
            yield from _comparisons(inner)
        case Both(filters=parts) | Either(filters=parts):
            for part in parts:
                yield from _comparisons(part)


def _misfit(comparison: Comparison, family: Family) -> str | None:
    """Why a comparison can't be made with columns of this kind of type."""
    operator = comparison.operator
    if operator is Operator.IS_NULL:
        return None
    if family is Family.OTHER or family is Family.TIME:
        return "such columns can only be compared with is_null"
    if operator is Operator.STARTS_WITH and family is not Family.TEXT:
        return "starts_with compares text only"
    if operator in _ORDERED and family is Family.BOOLEAN:
        return "true and false have no order; use eq or ne"
    value = comparison.value
    values = value if isinstance(value, tuple) else (value,)
    wanted, fits = _VALUES[family]
    wrong = next((v for v in values if not fits(v)), None)
    return None if wrong is None else f"the value is {shown(wrong)}; allowed is {wanted}"


def _whole(value: Scalar) -> bool:
    exact = isinstance(value, int) and abs(value) <= MAX_NUMBER
    return exact and not isinstance(value, bool)


def _reads_as(parse: Callable[[str], object]) -> Callable[[Scalar], bool]:
    def reads(value: Scalar) -> bool:
        try:
            return isinstance(value, str) and parse(value) is not None
        except ValueError:
            return False

    return reads


_VALUES: dict[Family, tuple[str, Callable[[Scalar], bool]]] = {
    Family.TEXT: ("text", lambda value: isinstance(value, str)),
    Family.INTEGER: ("a whole number up to 2^53 - 1", _whole),
    Family.NUMBER: ("a number", lambda value: isinstance(value, float) or _whole(value)),
    Family.BOOLEAN: ("true or false", lambda value: isinstance(value, bool)),
    Family.DATE: ("a date as in 2013-12-31", _reads_as(date.fromisoformat)),
    Family.TIMESTAMP: ("an instant as in 2013-12-31T23:59:59", _reads_as(datetime.fromisoformat)),
}
