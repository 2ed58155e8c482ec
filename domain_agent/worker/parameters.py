"""Bound parameters: one Arrow row as DuckDB values of the same types."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time

import duckdb
import pyarrow as pa

from mesh.errors import StatementParametersInvalid

_SCALARS = {
    pa.bool_(): "BOOLEAN",
    pa.int8(): "TINYINT",
    pa.int16(): "SMALLINT",
    pa.int32(): "INTEGER",
    pa.int64(): "BIGINT",
    pa.uint8(): "UTINYINT",
    pa.uint16(): "USMALLINT",
    pa.uint32(): "UINTEGER",
    pa.uint64(): "UBIGINT",
    pa.float32(): "FLOAT",
    pa.float64(): "DOUBLE",
    pa.string(): "VARCHAR",
    pa.large_string(): "VARCHAR",
    pa.string_view(): "VARCHAR",
    pa.binary(): "BLOB",
    pa.large_binary(): "BLOB",
    pa.date32(): "DATE",
    pa.date64(): "DATE",
    pa.time32("s"): "TIME",
    pa.time32("ms"): "TIME",
    pa.time64("us"): "TIME",
}
_SAMPLES: Mapping[str, object] = {
    "BOOLEAN": True,
    "VARCHAR": "1",
    "BLOB": b"1",
    "DATE": date(2000, 1, 1),
    "TIME": time(),
}


class Bound:
    """Parameters as they came: an IPC stream of one row, of none (only types), or nothing."""

    def __init__(self, stream: bytes | None, *, described: bool) -> None:
        self._described = described
        self._schema: pa.Schema | None = None
        self._row: pa.RecordBatch | None = None
        if stream is None:
            return
        try:
            with pa.ipc.open_stream(stream) as reader:
                self._schema = reader.schema
                rows = [batch for batch in reader if batch.num_rows]
        except (pa.ArrowException, OSError) as error:
            raise StatementParametersInvalid("the parameters are no Arrow IPC stream") from error
        if len(rows) > 1 or (rows and rows[0].num_rows != 1):
            raise StatementParametersInvalid("bind exactly one row of parameters")
        if not rows and not described:
            raise StatementParametersInvalid("bind one row of parameters")
        self._row = rows[0] if rows else None

    def values(self, names: frozenset[str], *, samples: bool = False) -> Mapping[str, duckdb.Value]:
        """A value for every parameter of the statement, by name. Raises for any misfit.

        DuckDB forgets the type of a NULL; `samples` puts some value of its type in its place, so
        that the statement binds to the types that it has for other values.
        """
        if self._schema is None:
            if names and not self._described:
                raise StatementParametersInvalid(
                    f"the statement has {len(names)} parameters and none are bound"
                )
            return {name: duckdb.Value(None, duckdb.sqltype("NULL")) for name in names}
        fields = list(self._schema)
        if len(fields) != len(names):
            raise StatementParametersInvalid(
                f"the statement has {len(names)} parameters and {len(fields)} are bound"
            )
        by_place = names == {str(place + 1) for place in range(len(names))}
        if not by_place and {field.name for field in fields} != names:
            raise StatementParametersInvalid("the bound parameters have other names")
        return {
            str(place + 1) if by_place else field.name: self._value(place, field.type, samples)
            for place, field in enumerate(fields)
        }

    @property
    def has_nulls(self) -> bool:
        """Whether `samples` makes a difference."""
        row = self._row
        return self._schema is not None and (
            row is None or any(column.null_count for column in row.columns)
        )

    def _value(self, place: int, type_: pa.DataType, samples: bool) -> duckdb.Value:
        name = _duckdb_type(type_)
        try:
            value = None if self._row is None else self._row.column(place)[0].as_py()
            if value is None and samples:
                value = _sample(name)
            return duckdb.Value(value, duckdb.sqltype(name))
        except (ValueError, OverflowError, pa.ArrowException) as error:
            raise StatementParametersInvalid(
                f"parameter {place + 1} is out of range for its type"
            ) from error


def _sample(name: str) -> object:
    if name.startswith("TIMESTAMP"):
        return datetime(2000, 1, 1, tzinfo=UTC if name != "TIMESTAMP" else None)
    return _SAMPLES.get(name, 1 if name != "NULL" else None)


def _duckdb_type(type_: pa.DataType) -> str:
    known = _SCALARS.get(type_)
    if known is None and pa.types.is_null(type_):
        known = "NULL"
    if known is None and pa.types.is_decimal128(type_) and 0 <= type_.scale <= type_.precision:
        known = f"DECIMAL({type_.precision},{type_.scale})"
    if known is None and pa.types.is_timestamp(type_) and type_.unit != "ns":
        known = "TIMESTAMP WITH TIME ZONE" if type_.tz else "TIMESTAMP"
    if known is None:
        raise StatementParametersInvalid(
            f"a parameter is of type {str(type_)[:63]}, which can't be bound; cast it to text"
        )
    return known
