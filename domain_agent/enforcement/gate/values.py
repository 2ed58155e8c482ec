"""What goes into the gate and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

Tree: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class Catalog:
    """The datasets a statement may name: of one domain, by product."""

    domain: str
    products: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, order=True)
class DatasetName:
    product: str
    dataset: str


@dataclass(frozen=True, slots=True)
class CheckedStatement:
    """A statement as it may run: `datasets` are sorted and distinct, parameters are $1 to $n.

    `redacted` is the same tree with its literals replaced by further parameters, for evidence.
    """

    tree: Mapping[str, object]
    datasets: tuple[DatasetName, ...]
    parameters: int
    redacted: Mapping[str, object]
