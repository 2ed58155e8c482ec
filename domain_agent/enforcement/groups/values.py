"""What the rule is made of, and what comes out of a statement that keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain_agent.enforcement.gate.values import DatasetName, Tree
from mesh.errors import StatementAggregatesOnly


@dataclass(frozen=True, slots=True)
class GroupRule:
    """The least size of a group: in persons, told apart by each of `keys`; in rows without."""

    size: int
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GroupedDataset:
    """A dataset under the rule, with the names and types of the columns that its view shows."""

    name: DatasetName
    rule: GroupRule
    columns: tuple[tuple[str, str], ...]

    def broken(self, what: str) -> StatementAggregatesOnly:
        """The refusal; `what` tells of clauses and functions, never a value or a reader's word."""
        kind = "persons" if self.rule.keys else "rows"
        return StatementAggregatesOnly(
            f"{self.name.product}.{self.name.dataset} is open for statistics only, in groups of at"
            f" least {self.rule.size} {kind}: {what}. docs/sql.md, Statistics only, shows what is"
            " allowed.",
            product=self.name.product,
            dataset=self.name.dataset,
        )


@dataclass(frozen=True, slots=True, order=True)
class ParameterUse:
    """A parameter that stands for a value of a type."""

    number: int
    type: str


@dataclass(frozen=True, slots=True)
class LimitedStatement:
    """The tree as it may run, and what its parameters must be values of."""

    tree: Mapping[str, object]
    uses: tuple[ParameterUse, ...]


@dataclass(frozen=True, slots=True)
class Operand:
    """What a condition may look at: a column, or in HAVING a selected aggregate."""

    tree: Tree
    type: str
