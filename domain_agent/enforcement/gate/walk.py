"""The walk over a statement's tree: one state, three kinds of node, limits on each step."""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from domain_agent.enforcement.gate.fields import Fields, refused
from domain_agent.enforcement.gate.names import Scope, resolve
from domain_agent.enforcement.gate.values import Catalog, DatasetName, Tree
from mesh.errors import StatementNotSelect, StatementTooDeep, StatementTooLong

MAX_DEPTH = 100
MAX_NODES = 20_000
MAX_PARAMETERS = 256
_WRITES = frozenset(
    {
        "DELETE_QUERY_NODE",
        "INSERT_QUERY_NODE",
        "UPDATE_QUERY_NODE",
        "MERGE_QUERY_NODE",
        "COPY_QUERY_NODE",
    }
)

Visitor: TypeAlias = Callable[["Walk", Fields, Scope], Tree]


class Walk:
    """Copies what is allowed and notes the datasets and parameters on the way."""

    def __init__(
        self,
        catalog: Catalog,
        queries: Mapping[str, Visitor],
        relations: Mapping[str, Visitor],
        expressions: Mapping[str, Visitor],
    ) -> None:
        self.catalog = catalog
        self.datasets: set[DatasetName] = set()
        self.parameters: set[int] = set()
        self._queries, self._relations, self._expressions = queries, relations, expressions
        self._depth = self._nodes = 0

    def query(self, raw: object, scope: Scope) -> Tree:
        """A copy of a query node."""
        fields = Fields(raw, "A query of this kind")
        kind = fields.text("type")
        if kind in _WRITES:
            raise StatementNotSelect(
                "Only one SELECT is served; a common table expression can't write or copy. "
                "Remove it."
            )
        return self._visit(self._queries, kind, fields, scope)

    def relation(self, raw: object, scope: Scope) -> Tree:
        """A copy of what stands in a FROM clause."""
        fields = Fields(raw, "A table reference of this kind")
        return self._visit(self._relations, fields.text("type"), fields, scope)

    def expression(self, raw: object, scope: Scope) -> Tree:
        """A copy of an expression."""
        fields = Fields(raw, "An expression of this kind")
        return self._visit(self._expressions, fields.text("class"), fields, scope)

    def optional(self, raw: object, scope: Scope) -> Tree | None:
        """A copy of an expression that may be absent."""
        return None if raw is None else self.expression(raw, scope)

    def expressions(self, raws: list[object], scope: Scope) -> list[Tree]:
        """Copies of expressions."""
        return [self.expression(raw, scope) for raw in raws]

    def dataset(self, path: list[str]) -> DatasetName:
        """The dataset that a name means, noted as read."""
        name = resolve(path, self.catalog)
        self.datasets.add(name)
        return name

    def _visit(
        self, visitors: Mapping[str, Visitor], kind: str, fields: Fields, scope: Scope
    ) -> Tree:
        visitor = visitors.get(kind)
        if visitor is None:
            raise refused(fields.what)
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_NODES:
            raise StatementTooLong(
                f"The statement has more than {MAX_NODES:,} parts. Write a shorter one."
            )
        if self._depth > MAX_DEPTH:
            raise StatementTooDeep(
                f"The statement nests deeper than {MAX_DEPTH} levels. Name its parts with WITH."
            )
        copy = visitor(self, fields, scope)
        fields.close()
        self._depth -= 1
        return copy
