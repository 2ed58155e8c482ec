"""Rules for roles: names, what the mesh enforces of them, and filters that fit every dataset."""

from collections.abc import Iterator

from mesh.contracts.columns import columns
from mesh.contracts.comparing import misfit
from mesh.contracts.extensions import extension, extension_path
from mesh.contracts.problems import Findings, Path, closest, shown
from mesh.contracts.shapes import Element, entries, text
from mesh.filters import (
    Both,
    Comparison,
    Either,
    Filter,
    Negation,
    columns_of,
    parse_filter,
)
from mesh.names import HYPHENATED_RULE, is_hyphenated, is_name


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
        found = {text(c, "name"): c for _, c in columns(dataset)}
        for name in sorted(columns_of(filter_) - found.keys()):
            near = closest(name, [known for known in found if known])
            message = f"the dataset {shown(dataset.get('name'))} has no column {shown(name)}{near}"
            findings.add(where, message)
        for comparison in comparisons:
            column = found.get(comparison.column, {})
            logical, physical = text(column, "logicalType"), text(column, "physicalType")
            wrong = misfit(comparison, logical, physical) if logical else None
            if wrong:
                findings.add(where, f"`{comparison.column}` is {physical or logical}: {wrong}")


def _comparisons(filter_: Filter) -> Iterator[Comparison]:
    match filter_:
        case Comparison():
            yield filter_
        case Negation(filter=inner):
            yield from _comparisons(inner)
        case Both(filters=parts) | Either(filters=parts):
            for part in parts:
                yield from _comparisons(part)
