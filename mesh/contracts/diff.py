"""What changed between two versions of a contract, and whether it breaks those who read it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from mesh.contracts.masks import column_mask, stricter
from mesh.contracts.narrowing import narrows
from mesh.contracts.values import READABLE_STATUSES, Classification, Column, Contract, Dataset, Role

_ORDER = list(Classification)


class What(StrEnum):
    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Bump(StrEnum):
    """Which part of the version a change raises, largest first."""

    MAJOR = "major"
    MINOR = "minor"
    PATCH = "patch"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference; `where` reads `datasets[flights].columns[carrier].classification`."""

    what: What
    where: str
    before: str | None
    after: str | None
    bump: Bump

    @property
    def breaking(self) -> bool:
        """Whether somebody who reads the old version may read less, or otherwise, in the new."""
        return self.bump is Bump.MAJOR

    def __str__(self) -> str:
        if self.what is What.CHANGED:
            return f"{self.where}: {self.before} → {self.after}"
        return f"{self.where}: {self.what}"


def diff(old: Contract, new: Contract) -> tuple[Change, ...]:
    """Every difference except the version's, breaking ones first, then as the contract has them."""
    changes = [*_product(old, new), *_roles(old, new), *_datasets(old, new)]
    return tuple(sorted(changes, key=lambda change: not change.breaking))


def required_bump(
    changes: tuple[Change, ...],
) -> Literal["major", "minor", "patch"] | None:
    """The part of the version that the changes raise; None when there are none."""
    bumps = {change.bump for change in changes}
    if Bump.MAJOR in bumps:
        return "major"
    if Bump.MINOR in bumps:
        return "minor"
    return "patch" if bumps else None


def _product(old: Contract, new: Contract) -> Iterator[Change]:
    yield from _changed("domain", old.domain, new.domain, Bump.MAJOR)
    yield from _changed("product", old.product, new.product, Bump.MAJOR)
    yield from _changed("id", old.contract_id, new.contract_id, Bump.PATCH)
    closes = old.status in READABLE_STATUSES and new.status not in READABLE_STATUSES
    yield from _changed("status", old.status, new.status, Bump.MAJOR if closes else Bump.MINOR)
    yield from _changed("title", old.title, new.title, Bump.PATCH)
    yield from _changed("owners", ", ".join(old.owners), ", ".join(new.owners), Bump.PATCH)
    yield from _purposes(old, new)
    yield from _changed("residency", old.residency, new.residency, Bump.MINOR)
    yield from _changed("legal basis", old.legal_basis, new.legal_basis, Bump.MINOR)
    yield from _changed("server.path", old.server.path, new.server.path, Bump.PATCH)
    yield from _changed("server.format", old.server.format, new.server.format, Bump.PATCH)


def _purposes(old: Contract, new: Contract) -> Iterator[Change]:
    """No purposes means every registered one."""
    before, after = set(old.purposes), set(new.purposes)
    if bool(before) != bool(after):
        bump = Bump.MAJOR if after else Bump.MINOR
        wide = "any"
        words = (", ".join(sorted(before)) or wide, ", ".join(sorted(after)) or wide)
        yield Change(What.CHANGED, "purposes", *words, bump)
        return
    for purpose in sorted(before - after):
        yield Change(What.REMOVED, f"purposes[{purpose}]", purpose, None, Bump.MAJOR)
    for purpose in sorted(after - before):
        yield Change(What.ADDED, f"purposes[{purpose}]", None, purpose, Bump.MINOR)


def _roles(old: Contract, new: Contract) -> Iterator[Change]:
    yield from _names("roles", [role.name for role in old.roles], [role.name for role in new.roles])
    for role in old.roles:
        if after := new.role(role.name):
            yield from _role(f"roles[{role.name}]", role, after)


def _role(where: str, old: Role, new: Role) -> Iterator[Change]:
    yield from _changed(f"{where}.description", old.description, new.description, Bump.PATCH)
    before, after = _filter_text(old), _filter_text(new)
    if before != after:
        bump = Bump.MAJOR if narrows(old.row_filter, new.row_filter) else Bump.MINOR
        yield from _changed(f"{where}.rowFilter", before, after, bump)


def _filter_text(role: Role) -> str | None:
    return None if role.row_filter is None else json.dumps(role.row_filter, sort_keys=True)


def _datasets(old: Contract, new: Contract) -> Iterator[Change]:
    yield from _names("datasets", [d.name for d in old.datasets], [d.name for d in new.datasets])
    for dataset in old.datasets:
        if after := new.dataset(dataset.name):
            yield from _dataset(f"datasets[{dataset.name}]", dataset, after)


def _dataset(where: str, old: Dataset, new: Dataset) -> Iterator[Change]:
    yield from _changed(f"{where}.description", old.description, new.description, Bump.PATCH)
    yield from _changed(f"{where}.file", old.file, new.file, Bump.PATCH)
    before, after = [c.name for c in old.columns], [c.name for c in new.columns]
    yield from _names(f"{where}.columns", before, after)
    columns = {column.name: column for column in new.columns}
    for column in old.columns:
        if column.name in columns:
            inner = f"{where}.columns[{column.name}]"
            yield from _column(inner, column, columns[column.name])


def _column(where: str, old: Column, new: Column) -> Iterator[Change]:
    yield from _changed(f"{where}.logicalType", old.logical_type, new.logical_type, Bump.MAJOR)
    retyped = old.physical_type is not None and new.physical_type is not None
    yield from _changed(
        f"{where}.physicalType",
        old.physical_type,
        new.physical_type,
        Bump.MAJOR if retyped else Bump.PATCH,
    )
    raised = _ORDER.index(new.classification) > _ORDER.index(old.classification)
    yield from _changed(
        f"{where}.classification",
        old.classification,
        new.classification,
        Bump.MAJOR if raised else Bump.MINOR,
    )
    hides = stricter(column_mask(new), column_mask(old))
    mask = (old.mask, new.mask) if old.mask != new.mask else (column_mask(old), column_mask(new))
    yield from _changed(f"{where}.mask", *mask, Bump.MAJOR if hides else Bump.MINOR)
    yield from _changed(f"{where}.category", old.category, new.category, Bump.MINOR)
    yield from _changed(f"{where}.tags", ", ".join(old.tags), ", ".join(new.tags), Bump.MINOR)
    yield from _changed(f"{where}.subjectKey", old.subject_key, new.subject_key, Bump.MINOR)
    yield from _changed(f"{where}.required", old.required, new.required, Bump.MINOR)
    yield from _changed(f"{where}.description", old.description, new.description, Bump.PATCH)


def _names(where: str, old: list[str], new: list[str]) -> Iterator[Change]:
    """Names that left, that came, and whether those that stayed changed their order."""
    for name in old:
        if name not in new:
            yield Change(What.REMOVED, f"{where}[{name}]", name, None, Bump.MAJOR)
    for name in new:
        if name not in old:
            yield Change(What.ADDED, f"{where}[{name}]", None, name, Bump.MINOR)
    before, after = [n for n in old if n in new], [n for n in new if n in old]
    yield from _changed(f"{where}.order", ", ".join(before), ", ".join(after), Bump.MINOR)


def _changed(where: str, before: object, after: object, bump: Bump) -> Iterator[Change]:
    if before != after:
        yield Change(What.CHANGED, where, _word(before), _word(after), bump)


def _word(value: object) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return None if value is None else str(value)
