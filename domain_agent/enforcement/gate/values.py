"""What goes into the gate and what comes out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

Tree: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Catalog:
    """The datasets a statement may name: of one domain, by product, with their columns."""

    domain: str
    products: Mapping[str, Mapping[str, Sequence[str]]]


@dataclass(frozen=True, slots=True, order=True)
class DatasetName:
    product: str
    dataset: str


@dataclass(frozen=True, slots=True)
class CheckedStatement:
    """A statement as it may run: `datasets` are sorted and distinct, parameters are $1 to $n.

    `redacted` is its shape for evidence: literals are further parameters, and names that neither
    the datasets nor their columns have are placeholders.
    """

    tree: Mapping[str, object]
    datasets: tuple[DatasetName, ...]
    parameters: int
    redacted: Mapping[str, object]
