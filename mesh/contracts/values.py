"""A contract as the mesh understands it, free of ODCS's spelling."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Classification(StrEnum):
    """How sensitive a column is, from least to most."""

    PUBLIC = "public"
    INTERNAL = "internal"
    CONFIDENTIAL = "confidential"
    RESTRICTED = "restricted"


_ORDER = tuple(Classification)
READABLE_STATUSES = frozenset({"active", "deprecated"})


def strictest(classes: Iterable[Classification]) -> Classification:
    """The strictest of some classes; public when there is none."""
    return max(classes, key=_ORDER.index, default=_ORDER[0])


def mildest(classes: Iterable[Classification]) -> Classification:
    """The mildest of some classes; public when there is none."""
    return min(classes, key=_ORDER.index, default=_ORDER[0])


@dataclass(frozen=True, slots=True)
class Column:
    """One column with what policies may know of it; `mask` names a Mask or is None."""

    name: str
    logical_type: str
    physical_type: str | None
    classification: Classification
    category: str | None = None
    tags: tuple[str, ...] = ()
    mask: str | None = None
    subject_key: bool = False
    required: bool = False
    description: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """One table: `file` is its path below the server's `path`."""

    name: str
    file: str
    columns: tuple[Column, ...]
    description: str = ""

    @property
    def classification(self) -> Classification:
        """Its strictest column's; one without columns counts as the strictest there is."""
        classes = [column.classification for column in self.columns]
        return strictest(classes) if classes else _ORDER[-1]


@dataclass(frozen=True, slots=True)
class Role:
    """A way of reading; `row_filter` is a structured filter document, or None for every row."""

    name: str
    description: str = ""
    row_filter: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """Where an agent finds the data: a folder and a format (`parquet` or `csv`)."""

    path: str
    format: str


@dataclass(frozen=True, slots=True)
class Contract:
    """One version of a data product's declaration."""

    domain: str
    product: str
    version: str
    contract_id: str
    status: str
    title: str
    owners: tuple[str, ...]
    purposes: tuple[str, ...]
    roles: tuple[Role, ...]
    datasets: tuple[Dataset, ...]
    server: Server
    residency: str | None = None
    legal_basis: str | None = None

    @property
    def name(self) -> str:
        """`domain.product`."""
        return f"{self.domain}.{self.product}"

    def dataset(self, name: str) -> Dataset | None:
        """The dataset of that name, or None."""
        return next((d for d in self.datasets if d.name == name), None)

    def role(self, name: str) -> Role | None:
        """The role of that name, or None."""
        return next((r for r in self.roles if r.name == name), None)
