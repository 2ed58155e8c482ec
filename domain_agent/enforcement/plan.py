"""The plan of a read: what each dataset's view shows, made before anything is read.

Pure. Whatever can't be applied refuses; nothing is skipped.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from domain_agent.enforcement import masks, types
from domain_agent.enforcement.groups import GroupRule
from domain_agent.enforcement.limits import group_rule, row_limit
from domain_agent.enforcement.literals import identifier
from domain_agent.enforcement.masks import Pseudonyms
from domain_agent.enforcement.rows import Inapplicable, condition, kept_by_scan
from mesh.contracts.values import Contract, Dataset
from mesh.decisions.values import Decision
from mesh.errors import (
    ColumnUnclassified,
    DatasetNotFound,
    FilterUnsupported,
    MaskUnsupported,
    PolicyError,
    SourceDrift,
)
from mesh.filters import parse_filter
from mesh.masks import Mask

KEY_BYTES = 32
_ALL_ROWS = 2**63 - 1


@dataclass(frozen=True, slots=True)
class SourceColumn:
    """A column as the source has it, with DuckDB's name of its type."""

    name: str
    type: str


@dataclass(frozen=True, slots=True)
class Source:
    """A resolved file: its columns in the file's order, and the SQL that scans it."""

    path: str
    format: str
    columns: tuple[SourceColumn, ...]
    scan: str


@dataclass(frozen=True, slots=True)
class MaskedColumn:
    """A column of the view."""

    name: str
    type: str
    mask: Mask


@dataclass(frozen=True, slots=True)
class DatasetPlan:
    """One governed dataset: a view over a source, with masks, conditions and limits.

    `scanned` tells that the scan itself applies every condition. Where there is a `group`, no
    statement may show anything but groups.
    """

    product: str
    dataset: str
    source: Source
    columns: tuple[MaskedColumn, ...]
    conditions: tuple[str, ...]
    scanned: bool
    row_limit: int | None
    group: GroupRule | None = None

    @property
    def needs_key(self) -> bool:
        """Whether a column is shown as a pseudonym."""
        return any(column.mask is Mask.PSEUDONYM for column in self.columns)

    def select(self, pseudonyms: Pseudonyms) -> str:
        """The view's SELECT: masks in its projection, filters in its WHERE."""
        shown = ", ".join(
            f"{masks.expression(_raw(column.name), column.type, column.mask, pseudonyms)}"
            f" AS {identifier(column.name)}"
            for column in self.columns
        )
        return f"SELECT {shown} FROM {self._rows()}"  # noqa: S608 - every part is quoted

    def _rows(self) -> str:
        scan = f"{self.source.scan} AS raw"
        if not self.conditions:
            return scan
        kept = f"{scan} WHERE {' AND '.join(self.conditions)}"
        # No optimizer moves a filter across a limit: without it, an expression of the reader's
        # that fails on some values could be evaluated on rows that the conditions hide.
        everything = f"(SELECT * FROM {kept} LIMIT {_ALL_ROWS}) AS raw"  # noqa: S608 - likewise
        return kept if self.scanned else everything


@dataclass(frozen=True, slots=True)
class Plan:
    """What one statement may see. `keys` holds each dataset's pseudonym key, in their order.

    `key` is a digest that equal plans share; it tells nothing of the pseudonym keys.
    """

    domain: str
    datasets: tuple[DatasetPlan, ...]
    keys: tuple[bytes | None, ...] = field(repr=False)
    key: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", _digest(self.domain, self.datasets, self.keys))

    @property
    def row_limit(self) -> int | None:
        """The most rows that the statement may return."""
        limits = [d.row_limit for d in self.datasets if d.row_limit is not None]
        return min(limits, default=None)


def plan_statement(domain: str, datasets: Iterable[tuple[DatasetPlan, bytes | None]]) -> Plan:
    """The plan over several datasets, each with its agreement's pseudonym key.

    A key that no column needs is left out, so that the worker never sees it.
    """
    pairs = tuple(datasets)
    names = [(dataset.product, dataset.dataset) for dataset, _ in pairs]
    if not names or len(set(names)) != len(names):
        raise PolicyError("a plan has at least one dataset, and each only once")
    kept = tuple(key if dataset.needs_key else None for dataset, key in pairs)
    for dataset, key in zip((d for d, _ in pairs), kept, strict=True):
        if dataset.needs_key and (key is None or len(key) != KEY_BYTES):
            raise MaskUnsupported(
                f"{dataset.product}.{dataset.dataset} is shown with pseudonyms, and there is no key"
                f" of {KEY_BYTES} bytes for them; nothing is read",
            )
    return Plan(domain, tuple(dataset for dataset, _ in pairs), kept)


def _digest(domain: str, datasets: tuple[DatasetPlan, ...], keys: tuple[bytes | None, ...]) -> str:
    hashed = hashlib.sha256()
    hidden = (key and hashlib.sha256(b"plan" + key).hexdigest() for key in keys)
    for part in (domain, *map(repr, datasets), *map(repr, hidden)):
        encoded = part.encode(errors="surrogatepass")
        hashed.update(len(encoded).to_bytes(8, "big") + encoded)
    return hashed.hexdigest()


def plan_dataset(
    contract: Contract,
    dataset_name: str,
    decision: Decision,
    classes: Mapping[str, str],
    source: Source,
) -> DatasetPlan:
    """The plan of one dataset; `classes` names the class of every column.

    Raises DatasetNotFound, PolicyError, SourceDrift, ColumnUnclassified, MaskUnsupported,
    FilterUnsupported or LimitUnsupported: what can't be applied refuses.
    """
    dataset = contract.dataset(dataset_name)
    where = f"{contract.name}.{dataset_name}"
    if dataset is None:
        raise DatasetNotFound(f"{contract.name} has no dataset {dataset_name!r}")
    if not decision.allow or decision.reasons:
        raise PolicyError(f"the decision on {where} does not allow, so there is nothing to plan")
    actual = agreed_columns(dataset, source.columns, where)
    columns = tuple(
        MaskedColumn(column.name, actual[column.name], mask)
        for column in dataset.columns
        if (mask := _mask(column.name, decision, classes, where)) is not Mask.DROP
    )
    if not columns:
        raise MaskUnsupported(f"policy drops every column of {where}, so nothing is left to read")
    for column in columns:
        if not masks.applies(column.mask, column.type):
            raise MaskUnsupported(
                f"mask {column.mask} of {where}, column {column.name!r}, does not apply to"
                f" {column.type}; nothing is read. Its owner can declare another `mesh.mask`",
                column=column.name,
            )
    conditions, scanned = _conditions(decision, actual, where)
    scanned = scanned and source.format == "parquet"
    rows = row_limit(decision.limits, where)
    shown = {column.name: column.mask for column in columns}
    group = group_rule(decision.limits, dataset, shown, where)
    return DatasetPlan(
        contract.product, dataset_name, source, columns, conditions, scanned, rows, group
    )


def agreed_columns(dataset: Dataset, columns: Sequence[SourceColumn], where: str) -> dict[str, str]:
    """The type of every column, by name. Raises SourceDrift where source and contract differ."""
    actual = {column.name: column.type for column in columns}
    folded = {name.lower() for name in actual}
    if len(actual) != len(columns) or len(folded) != len(columns):
        raise SourceDrift(f"the source of {where} has two columns of one name; nothing is read")
    problems = []
    for column in dataset.columns:
        found = actual.get(column.name)
        if found is None:
            problems.append(f"column {column.name!r} is missing")
        elif not types.fits(found, column):
            wanted = types.declared(column) or column.logical_type
            problems.append(f"column {column.name!r} is {found}, declared {wanted}")
    undeclared = len(actual.keys() - {column.name for column in dataset.columns})
    if undeclared:
        problems.append(f"{undeclared} columns are not declared")
    if problems:
        raise SourceDrift(
            f"the source of {where} differs from its contract: {'; '.join(problems)}. Nothing is"
            " read until its owner publishes a contract that fits"
        )
    return actual


def _mask(column: str, decision: Decision, classes: Mapping[str, str], where: str) -> Mask:
    class_id = classes.get(column)
    if class_id is None:
        raise ColumnUnclassified(f"{where}, column {column!r}, has no class; nothing is read")
    choice = decision.masks.get(class_id)
    if choice is None:
        raise PolicyError(f"the decision on {where} has no mask for column {column!r}")
    try:
        return Mask(choice.mask)
    except ValueError:
        raise MaskUnsupported(
            f"the mask that policy sets on {where}, column {column!r}, is none of {', '.join(Mask)}"
        ) from None


def _conditions(
    decision: Decision, actual: Mapping[str, str], where: str
) -> tuple[tuple[str, ...], bool]:
    columns = {name: (_raw(name), type_) for name, type_ in actual.items()}
    conditions = []
    scanned = True
    for row in decision.rows:
        try:
            filter_ = parse_filter(row.filter)
            conditions.append(condition(filter_, columns))
            scanned = scanned and kept_by_scan(filter_, columns)
        except (ValueError, Inapplicable) as error:
            # The parser quotes the filter's values, which readers need not know.
            why = str(error) if isinstance(error, Inapplicable) else "it is malformed"
            raise FilterUnsupported(
                f"the row filter {row.rule} can't be applied to {where}: {why}; nothing is read",
                rule=row.rule,
            ) from None
    return tuple(conditions), scanned


def _raw(column: str) -> str:
    return f"raw.{identifier(column)}"
