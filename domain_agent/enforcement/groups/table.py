"""The one dataset that a query reads, and its columns as the query may name them."""

from domain_agent.enforcement.gate.names import lowered
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.groups import trees
from domain_agent.enforcement.groups.values import GroupedDataset, Operand
from mesh.errors import StatementAggregatesOnly


class Table:
    """A dataset in a FROM clause. Raises StatementAggregatesOnly where its columns are renamed."""

    def __init__(self, dataset: GroupedDataset, relation: Tree) -> None:
        self.dataset = dataset
        if relation["column_name_alias"]:
            raise dataset.broken("its columns are given other names in FROM")
        path = [str(relation[key]) for key in ("catalog_name", "schema_name", "table_name")]
        alias = str(relation["alias"])
        self._name = alias or path[-1]
        full = [lowered(part) for part in path]
        self._prefixes = [[], [lowered(alias)]] if alias else [full[n:] for n in range(4)]
        self._columns = {lowered(name): (name, type_) for name, type_ in dataset.columns}

    def broken(self, what: str) -> StatementAggregatesOnly:
        """The refusal of a statement that breaks the rule."""
        return self.dataset.broken(what)

    def column(self, raw: object) -> Operand | None:
        """The column that an expression is, written with its table; None for anything else.

        Named so, nothing else can be meant: no alias of the select list, no column of an outer
        query.
        """
        match raw:
            case {"class": "COLUMN_REF", "column_names": [*prefix, last]}:
                known = self._columns.get(lowered(str(last)))
                if known is not None and [lowered(str(part)) for part in prefix] in self._prefixes:
                    return Operand(self.reference(known[0]), known[1])
        return None

    def reference(self, name: str) -> Tree:
        """A column by its table's name and its own."""
        return trees.column([self._name, name])
