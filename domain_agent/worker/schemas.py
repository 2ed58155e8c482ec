"""The Arrow schema of what a statement returns, known before it runs."""

from collections import OrderedDict

import duckdb
import pyarrow as pa

from mesh.errors import StatementNotAllowed

_REMEMBERED = 256
# Arrow has no such types, or loses a part of their values.
_UNFAITHFUL = ("UHUGEINT", "BIT", "BIGNUM", "TIME WITH TIME ZONE")


class Schemas:
    """Remembers which Arrow types DuckDB's types become; dictionaries count as their values."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, ...], tuple[pa.DataType, ...]] = OrderedDict()

    def of(self, relation: duckdb.DuckDBPyRelation) -> pa.Schema:
        """The schema of a bound relation. Raises StatementNotAllowed for what Arrow can't carry."""
        names = relation.columns
        types = tuple(str(type_) for type_ in relation.types)
        known = self._known.get(types)
        if known is None:
            known = self._known[types] = _arrow_types(relation, names, types)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return pa.schema([pa.field(*pair) for pair in zip(names, known, strict=True)])


def _arrow_types(
    relation: duckdb.DuckDBPyRelation, names: list[str], types: tuple[str, ...]
) -> tuple[pa.DataType, ...]:
    for name, type_ in zip(names, types, strict=True):
        if any(word in type_ for word in _UNFAITHFUL):
            raise _uncarried(name, f"of type {type_[:63]}")
    bare = relation.limit(0).to_arrow_reader(1)
    try:
        fields = list(bare.schema)
    finally:
        bare.close()
    plain = []
    for field, name in zip(fields, names, strict=True):
        type_ = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        if "dictionary<" in str(type_):
            raise _uncarried(name, "a nested ENUM")
        plain.append(type_)
    return tuple(plain)


def _uncarried(name: str, what: str) -> StatementNotAllowed:
    return StatementNotAllowed(
        f"column {name[:63]!r} of the result is {what}, which Arrow can't carry here; cast it to"
        " VARCHAR"
    )
