"""Rules for datasets and their columns: names, files, types, classifications and masks."""

from collections.abc import Iterator, Mapping

from mesh.contracts.extensions import extension, extension_path
from mesh.contracts.masks import least_mask, masks_fitting
from mesh.contracts.odcs import TYPE_MISSING
from mesh.contracts.problems import Findings, Path, closest, listing, shown
from mesh.contracts.product import name_problem, path_problem
from mesh.contracts.shapes import Element, entries, text
from mesh.contracts.types import types_agree
from mesh.contracts.values import Classification
from mesh.masks import Mask

MAX_NAME = 255
MAX_CLASSES = 32
_CLASSIFICATIONS = ", ".join(Classification)


def check_datasets(contract: Element, findings: Findings) -> None:
    """Note what keeps a dataset from being read under its contract."""
    datasets = list(entries(contract, "schema"))
    if not datasets and not findings.at_or_below(("schema",)):
        where: Path = ("schema",) if "schema" in contract else ()
        findings.add(where, "no dataset; list at least one object under schema")
    _check_unique(datasets, ("schema",), "dataset", findings)
    for index, dataset in datasets:
        if findings.full:
            return
        path: Path = ("schema", index)
        if wrong := name_problem(dataset.get("name")):
            findings.add((*path, "name"), wrong)
        file = text(dataset, "physicalName")
        if "physicalName" not in dataset:
            findings.add(path, "`physicalName` is missing: the file below the server's path")
        elif file is not None and (wrong := path_problem(file, absolute_allowed=False)):
            findings.add((*path, "physicalName"), wrong)
        _check_columns(dataset, path, findings)


def columns(dataset: Element) -> list[tuple[int, Element]]:
    """The columns of a dataset with their indexes."""
    return list(entries(dataset, "properties"))


def classification_of(column: Element) -> Classification | None:
    """The column's classification, or None when it has none that the mesh knows."""
    word = text(column, "classification")
    return Classification(word) if word in list(Classification) else None


def declared_mask(column: Element) -> Mask | None:
    """The mask that the column declares, or None."""
    word = extension(column, "mesh.mask")
    return Mask(word) if isinstance(word, str) and word in list(Mask) else None


def tags_of(column: Element) -> tuple[str, ...]:
    """The column's distinct tags, sorted."""
    tags = column.get("tags")
    return (
        tuple(sorted({tag for tag in tags if isinstance(tag, str)}))
        if isinstance(tags, list)
        else ()
    )


def _check_columns(dataset: Element, path: Path, findings: Findings) -> None:
    found = columns(dataset)
    here = (*path, "properties")
    if not found and not findings.at_or_below(here):
        findings.add(here if "properties" in dataset else path, "no column; list its properties")
    _check_unique(found, here, "column", findings)
    for index, column in found:
        _check_column(column, (*here, index), findings)
    classes = {
        (c.get("classification"), str(extension(c, "mesh.category")), tags_of(c), declared_mask(c))
        for _, c in found
        if isinstance(c.get("classification"), str)
    }
    if len(classes) > MAX_CLASSES:
        findings.add(
            here,
            f"{len(classes)} distinct combinations of classification, category, tags and mask; "
            f"at most {MAX_CLASSES} are allowed in a dataset. Use fewer tags",
        )


def _check_column(column: Element, path: Path, findings: Findings) -> None:
    name = text(column, "name")
    if name is not None and not (1 <= len(name) <= MAX_NAME and name.isprintable()):
        findings.add((*path, "name"), f"is 1 to {MAX_NAME} printable characters")
    physical_name = text(column, "physicalName")
    if physical_name is not None and physical_name != name:
        message = f"is {shown(physical_name)}; columns are read by `name`, so both must be equal"
        findings.add((*path, "physicalName"), message)
    if column.get("semanticType") == "measure":
        findings.add((*path, "semanticType"), "is `measure`; a dataset has real columns only")
    if "logicalType" not in column:
        findings.add(path, TYPE_MISSING)
    if "classification" not in column:
        findings.add(path, f"`classification` is missing; allowed: {_CLASSIFICATIONS}")
    _check_classification(column, path, findings)
    _check_types(column, path, findings)
    for inner_path, inner in _inner(column, path):
        _check_inner(column, inner, inner_path, findings)


def _check_classification(column: Element, path: Path, findings: Findings) -> None:
    word = text(column, "classification")
    if word is not None and classification_of(column) is None:
        near = closest(word, Classification)
        message = f"is {shown(word)}; allowed: {_CLASSIFICATIONS}{near}"
        findings.add((*path, "classification"), message)


def _check_types(column: Element, path: Path, findings: Findings) -> None:
    logical, physical = text(column, "logicalType"), text(column, "physicalType")
    classification, declared = classification_of(column), declared_mask(column)
    if logical is None:
        return
    if physical is not None and not types_agree(logical, physical):
        message = f"is {shown(physical)}, which does not hold the logicalType `{logical}`"
        findings.add((*path, "physicalType"), message)
        return
    if classification is None or declared is None:
        return
    least, fitting = least_mask(classification, declared), masks_fitting(logical, physical)
    if least not in fitting:
        kind = physical or logical
        became = f" (raised to `{least}`, the floor of {classification})" * (least is not declared)
        possible = [m for m in fitting if least_mask(classification, m) in fitting]
        findings.add(
            extension_path(column, path, "mesh.mask"),
            f"`mesh.mask` is `{declared}`{became}, which does not fit {kind}; "
            f"allowed here: {listing(possible)}",
        )


def _inner(column: Element, path: Path) -> Iterator[tuple[Path, Element]]:
    """The elements inside a column of a nested type."""
    for index, inner in entries(column, "properties"):
        yield from _self_and_inner(inner, (*path, "properties", index))
    items, map_ = column.get("items"), column.get("map")
    if isinstance(items, Mapping):
        yield from _self_and_inner(items, (*path, "items"))
    if isinstance(map_, Mapping):
        for part in ("key", "value"):
            half = map_.get(part)
            if isinstance(half, Mapping):
                yield from _self_and_inner(half, (*path, "map", part))


def _self_and_inner(element: Element, path: Path) -> Iterator[tuple[Path, Element]]:
    yield path, element
    yield from _inner(element, path)


def _check_inner(column: Element, inner: Element, path: Path, findings: Findings) -> None:
    _check_classification(inner, path, findings)
    outer, own = classification_of(column), classification_of(inner)
    order = list(Classification)
    if outer and own and order.index(own) > order.index(outer):
        message = (
            f"is `{own}` inside a column that is `{outer}`; whole columns are masked, raise it"
        )
        findings.add((*path, "classification"), message)


def _check_unique(
    found: list[tuple[int, Element]], path: Path, noun: str, findings: Findings
) -> None:
    """Names in SQL differ by more than case."""
    seen: set[str] = set()
    for index, element in found:
        name = text(element, "name")
        if name is None:
            continue
        if name.casefold() in seen:
            findings.add((*path, index, "name"), f"a second {noun} named {shown(name)}")
        seen.add(name.casefold())
