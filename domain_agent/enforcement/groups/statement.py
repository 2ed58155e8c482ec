"""The walk that finds every query over a dataset under the rule, wherever it stands."""

from collections.abc import Mapping, Sequence

from domain_agent.enforcement.gate.values import DatasetName, Tree
from domain_agent.enforcement.groups.constants import Constants
from domain_agent.enforcement.groups.query import limited_query
from domain_agent.enforcement.groups.table import Table
from domain_agent.enforcement.groups.values import GroupedDataset, LimitedStatement
from mesh.errors import LimitUnsupported


def limit_groups(
    tree: Mapping[str, object], domain: str, datasets: Sequence[GroupedDataset]
) -> LimitedStatement:
    """The gate's tree with every query over these datasets limited to their groups.

    Raises StatementAggregatesOnly; LimitUnsupported where a dataset is not met in the tree.
    """
    walk = _Walk(domain, datasets)
    copy = walk.fields(tree)
    if walk.met != walk.datasets.keys():
        raise LimitUnsupported("the statement does not read what policy limits; nothing is read")
    return LimitedStatement(copy, tuple(sorted(walk.constants.uses)))


class _Walk:
    def __init__(self, domain: str, datasets: Sequence[GroupedDataset]) -> None:
        self.datasets = {dataset.name: dataset for dataset in datasets}
        self.met: set[DatasetName] = set()
        self.constants = Constants()
        self._domain = domain

    def fields(self, node: Mapping[str, object]) -> Tree:
        return {key: self._copy(value) for key, value in node.items()}

    def _copy(self, value: object) -> object:
        if isinstance(value, list):
            return [self._copy(item) for item in value]
        return self._node(value) if isinstance(value, dict) else value

    def _node(self, node: Tree) -> Tree:
        relation = node.get("from_table") if node.get("type") == "SELECT_NODE" else None
        if isinstance(relation, dict) and (dataset := self._limited(relation)) is not None:
            ctes = self._copy(node["cte_map"])
            return limited_query(node, ctes, Table(dataset, relation), self.constants)
        # A query of its own was looked at above, so a table that is met here is part of a join.
        if (joined := self._limited(node)) is not None:
            raise joined.broken("it is joined, and must stand alone in FROM")
        return self.fields(node)

    def _limited(self, relation: Mapping[str, object]) -> GroupedDataset | None:
        """The dataset under the rule that a relation is; the gate wrote all three names of it."""
        match relation:
            case {
                "type": "BASE_TABLE",
                "catalog_name": self._domain,
                "schema_name": str(product),
                "table_name": str(name),
            }:
                found = self.datasets.get(DatasetName(product, name))
                if found is not None:
                    self.met.add(found.name)
                return found
        return None
