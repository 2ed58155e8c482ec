"""Which dataset a relation's name means, and which names nobody may take."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from domain_agent.enforcement.gate.values import Catalog, DatasetName
from mesh.errors import StatementNameAmbiguous, StatementNameReserved, StatementNameUnknown
from mesh.names import RESERVED

_SYSTEM_PREFIXES = ("duckdb_", "pg_", "sqlite_", "pragma_")
_CTE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_ALIAS = re.compile(r"[\w $#-]{1,63}")
_SHOWN = 63


@dataclass(frozen=True, slots=True)
class Scope:
    """The common table expressions that are visible at a place, in lower case."""

    names: frozenset[str] = frozenset()

    def holds(self, name: str) -> bool:
        return lowered(name) in self.names

    def having(self, name: str) -> "Scope":
        return Scope(self.names | {lowered(name)})


def lowered(name: str) -> str:
    """Lower case of A to Z only, as DuckDB compares names: no other letter ever becomes one."""
    return name.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def resolve(path: Sequence[str], catalog: Catalog) -> DatasetName:
    """The one dataset that a relation's name of one, two or three parts means."""
    match [lowered(part) for part in path]:
        case [dataset]:
            return _by_dataset(dataset, path, catalog)
        case [product, dataset]:
            pass
        case [domain, product, dataset] if domain == catalog.domain:
            pass
        case _:
            raise _unknown(path, catalog)
    if dataset not in catalog.products.get(product, ()):
        raise _unknown(path, catalog)
    return DatasetName(product, dataset)


def _by_dataset(dataset: str, path: Sequence[str], catalog: Catalog) -> DatasetName:
    owners = sorted(name for name, datasets in catalog.products.items() if dataset in datasets)
    if not owners:
        raise _unknown(path, catalog)
    if len(owners) > 1:
        fits = ", ".join(f"{owner}.{dataset}" for owner in owners)
        raise StatementNameAmbiguous(
            f"The name {dataset} fits several datasets. Write one of {fits}."
        )
    return DatasetName(owners[0], dataset)


def check_cte(name: str, catalog: Catalog) -> None:
    """Refuse a common table expression whose name could be taken for something else."""
    if _CTE_NAME.fullmatch(name) is None:
        raise StatementNameReserved(
            "The name of a common table expression is a letter or _, then at most 62 letters, "
            f"digits or _; {_shown([name])} is not. Rename it."
        )
    _check_taken(name, catalog)


def check_alias(name: str, catalog: Catalog, own: DatasetName | None = None) -> None:
    """Refuse a table alias that could be taken for something else than what it stands for."""
    if not name or (own is not None and lowered(name) == own.dataset):
        return
    if _ALIAS.fullmatch(name) is None:
        raise StatementNameReserved(
            "A table's alias is at most 63 letters, digits, spaces, or _, -, $, #; "
            f"{_shown([name])} is not. Rename it."
        )
    _check_taken(name, catalog)


def _check_taken(name: str, catalog: Catalog) -> None:
    low = lowered(name)
    if low in RESERVED or low.startswith(_SYSTEM_PREFIXES):
        raise StatementNameReserved(f"The name {low} is the system's. Choose another.")
    if any(low in datasets for datasets in catalog.products.values()):
        raise StatementNameReserved(
            f"The name {low} is a dataset's; a common table expression or an alias "
            "can't take it. Choose another."
        )


def _unknown(path: Sequence[str], catalog: Catalog) -> StatementNameUnknown:
    return StatementNameUnknown(
        f"There is no dataset {_shown(path)} in the domain {catalog.domain}. "
        "Write dataset, product.dataset or domain.product.dataset; paths, functions and "
        "system tables are not datasets. `mesh product list` shows what there is."
    )


def _shown(path: Sequence[str]) -> str:
    """A name as the caller wrote it, short and printable."""
    text = ".".join(path)
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return f"`{text[:_SHOWN]}…`" if len(text) > _SHOWN else f"`{text}`"
