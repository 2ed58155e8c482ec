"""What a batch of records may be unpacked to: a small one can claim to hold gigabytes."""

import io
import logging
import secrets
import zlib
from collections.abc import Iterable

import lz4.frame  # type: ignore[import-untyped]
from kafka.record import default_records
from kafka.record.default_records import DefaultRecordBatch
from kafka.record.util import encode_varint

log = logging.getLogger(__name__)

# Agents send at most 1 MiB together.
MOST_BYTES = 8 * 1024 * 1024
_GZIP = 31
_NULL = -1
# Nobody who writes to the topic knows it.
_LEFT_OUT = f"left-out-{secrets.token_hex(16)}"


class _Refused(Exception):
    """A batch can't be unpacked, or is too large."""


def bound_unpacking() -> None:
    """Let every consumer of this process leave out, and log, what unpacks to too much.

    kafka-python, which is pinned, has no setting for it. A batch in a form that can't be unpacked
    is left out too, as nothing behind it would ever be read. In its place comes one record, at
    its last offset, of which `problem_of` says why.
    """
    default_records.DefaultRecordBatch._maybe_uncompress = _maybe_unpack


def problem_of(headers: Iterable[tuple[str, bytes | None]]) -> str | None:
    """Why a batch is left out, when the record with these headers stands for it."""
    return next(
        (problem.decode() for name, problem in headers if problem and name == _LEFT_OUT), None
    )


def unpacked(codec: int, data: bytes) -> bytes:
    """The records of a batch. Raises _Refused."""
    try:
        if codec == DefaultRecordBatch.CODEC_GZIP:
            found = zlib.decompressobj(_GZIP).decompress(data, MOST_BYTES + 1)
        elif codec == DefaultRecordBatch.CODEC_LZ4:
            with lz4.frame.open(io.BytesIO(data)) as file:
                found = file.read(MOST_BYTES + 1)
        else:
            raise _Refused(f"codec {codec} is none that agents use")
    except (zlib.error, RuntimeError, EOFError, OSError) as error:
        raise _Refused(str(error)) from error
    if len(found) > MOST_BYTES:
        raise _Refused(f"it unpacks to more than {MOST_BYTES:,} bytes")
    return bytes(found)


def _maybe_unpack(batch: DefaultRecordBatch) -> None:
    if batch._decompressed:
        return
    batch._decompressed = True
    codec = batch.compression_type
    if codec == batch.CODEC_NONE:
        return
    try:
        records = unpacked(codec, bytes(memoryview(batch._buffer)[batch._pos :]))
    except _Refused as refused:
        first, last = batch.base_offset, batch.last_offset
        problem = f"the batch of offsets {first} to {last} is left out: {refused}"
        log.error("%s", problem)
        records, batch._num_records = _record(last - first, problem), 1
    batch._buffer, batch._pos = bytearray(records), 0


def _record(offset_delta: int, problem: str) -> bytes:
    """A record without key and value, in the form that batches of version 2 have."""
    attributes = time_delta = 0
    body = _varints(attributes, time_delta, offset_delta, _NULL, _NULL, 1)
    for text in (_LEFT_OUT.encode(), problem.encode()):
        body += _varints(len(text)) + text
    return _varints(len(body)) + body


def _varints(*numbers: int) -> bytes:
    found = bytearray()
    for number in numbers:
        encode_varint(number, found.append)
    return bytes(found)
