"""Statement parameters that a client uploads: one plain row, checked before anything decodes it."""

import struct
from collections.abc import Iterable

import pyarrow as pa

from domain_agent.flight.framing import encapsulated
from mesh import errors
from mesh.arrow import flight_pb2 as flight

MAX_BYTES = 1024 * 1024
_SCHEMA, _RECORD_BATCH = 1, 3  # flatbuffer values of MessageHeader
_COMPRESSION_FIELD = 3  # of RecordBatch


def uploaded(messages: Iterable[flight.FlightData]) -> bytes | None:
    """The row as an IPC stream; None where the statement is bound to no columns.

    Raises StatementParametersInvalid for anything else than a schema and one uncompressed row:
    a compressed batch of some kilobytes may unpack to gigabytes.
    """
    parts: list[bytes] = []
    size = 0
    for message in messages:
        if not message.data_header:
            continue
        size += len(message.data_header) + len(message.data_body)
        if size > MAX_BYTES:
            raise _invalid(f"more than {MAX_BYTES} bytes came")
        _check(message.data_header, _RECORD_BATCH if parts else _SCHEMA)
        parts.append(encapsulated(message.data_header, message.data_body))
    return _row(b"".join(parts)) if parts else None


def _row(stream: bytes) -> bytes | None:
    try:
        with pa.ipc.open_stream(stream) as reader:
            batches = [batch for batch in reader if batch.num_columns]
            schema: pa.Schema = reader.schema
        if len(schema) == 0:
            return None
        # Arrow checks values for UTF-8, but not names and time zones: reading them does.
        _ = [(field.name, str(field.type)) for field in schema]
        if sum(batch.num_rows for batch in batches) != 1:
            raise _invalid("not one row came")
        (row,) = (batch for batch in batches if batch.num_rows)
        row.validate(full=True)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, schema) as writer:
            writer.write_batch(row)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _invalid("the upload is no Arrow stream") from error
    copied: bytes = sink.getvalue().to_pybytes()
    return copied


def _check(header: bytes, expected: int) -> None:
    try:
        message = _Table(header, struct.unpack_from("<I", header)[0])
        kind = message.byte(1)
        compressed = kind == _RECORD_BATCH and message.table(2).has(_COMPRESSION_FIELD)
    except (struct.error, IndexError) as error:
        raise _invalid("the upload is no Arrow stream") from error
    if kind != expected:
        raise _invalid("the upload is not a schema and plain record batches")
    if compressed:
        raise _invalid("compressed batches are not accepted")


class _Table:
    """The few reads of a flatbuffer table that the check needs. Raises outside the buffer."""

    def __init__(self, data: bytes, position: int) -> None:
        self._data = data
        self._position = position
        self._fields = position - self._unpack("<i", position)
        self._fields_size = self._unpack("<H", self._fields)

    def has(self, field: int) -> bool:
        return self._offset(field) != 0

    def byte(self, field: int) -> int:
        offset = self._offset(field)
        return self._unpack("<B", self._position + offset) if offset else 0

    def table(self, field: int) -> "_Table":
        place = self._position + self._offset(field)
        return _Table(self._data, place + self._unpack("<I", place))

    def _offset(self, field: int) -> int:
        entry = 4 + 2 * field
        return self._unpack("<H", self._fields + entry) if entry < self._fields_size else 0

    def _unpack(self, form: str, place: int) -> int:
        if place < 0:
            raise IndexError(place)
        value: int = struct.unpack_from(form, self._data, place)[0]
        return value


def _invalid(why: str) -> errors.StatementParametersInvalid:
    return errors.StatementParametersInvalid(
        f"The statement's parameters can't be used: {why}; bind exactly one row of plain values."
    )
