"""Describes and runs one statement on an instance; what leaves is Arrow IPC."""

from collections.abc import Iterator, Mapping
from typing import Any

import duckdb
import pyarrow as pa

from domain_agent.worker.frames import Frame, FrameKind
from domain_agent.worker.parameters import Bound
from domain_agent.worker.schemas import Schemas
from domain_agent.worker.syntax import Select
from mesh.errors import LimitRows, StatementFailed

_FEWEST_ROWS, _MOST_ROWS = 2_048, 131_072
_TEXT_BYTES = 64


class Statement:
    """One SELECT bound to an instance, not run yet. Raises duckdb.Error where it doesn't bind."""

    def __init__(
        self, cursor: duckdb.DuckDBPyConnection, select: Select, bound: Bound, schemas: Schemas
    ) -> None:
        self._relation = _relation(cursor, select, bound.values(select.parameters))
        described = self._relation
        if bound.has_nulls:
            described = _relation(cursor, select, bound.values(select.parameters, samples=True))
        self.schema = schemas.of(described)

    def batches(self, batch_bytes: int, row_limit: int | None) -> Iterator[pa.RecordBatch]:
        """The rows, in batches that `schema` describes and no message makes too large."""
        left = row_limit
        reader = self._relation.to_arrow_reader(_rows_per_batch(self.schema, batch_bytes))
        try:
            for batch in reader:
                plain = self._decoded(batch)
                if left is not None and plain.num_rows > left:
                    yield plain.slice(0, left)
                    raise LimitRows(
                        f"policy allows {row_limit} rows in one read, and all of them were given;"
                        " add a WHERE or a LIMIT to read fewer",
                    )
                left = None if left is None else left - plain.num_rows
                yield plain
        finally:
            reader.close()

    def _decoded(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.schema.equals(self.schema):
            return batch
        arrays = []
        for column, field in zip(batch.columns, self.schema, strict=True):
            plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
            arrays.append(plain if plain.type.equals(field.type) else plain.cast(field.type))
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)


def frames(number: int, batch: pa.RecordBatch, batch_bytes: int) -> Iterator[Frame]:
    """The batch as IPC messages, halved until each is small enough."""
    if not batch.num_rows:
        return
    message = batch.serialize()
    if message.size > batch_bytes:
        if batch.num_rows == 1:
            raise StatementFailed(f"one row is larger than the {batch_bytes} bytes that are sent")
        half = batch.num_rows // 2
        yield from frames(number, batch.slice(0, half), batch_bytes)
        yield from frames(number, batch.slice(half), batch_bytes)
        return
    view = memoryview(message)
    size = int.from_bytes(view[4:8], "little")
    yield Frame(FrameKind.BATCH, number, batch.num_rows, view[8 : 8 + size], view[8 + size :])


def _relation(
    cursor: duckdb.DuckDBPyConnection, select: Select, values: Mapping[str, duckdb.Value]
) -> duckdb.DuckDBPyRelation:
    return cursor.sql(select.text, params=dict(values)) if values else cursor.sql(select.text)


def _rows_per_batch(schema: pa.Schema, batch_bytes: int) -> int:
    width = sum(_width(field.type) for field in schema)
    rows = batch_bytes // 8 // max(width, 1)
    return max(_FEWEST_ROWS, min(_MOST_ROWS, rows // _FEWEST_ROWS * _FEWEST_ROWS))


def _width(type_: Any) -> int:
    try:
        return max(1, int(type_.bit_width) // 8)
    except ValueError:
        return _TEXT_BYTES
