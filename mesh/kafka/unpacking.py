"""What a batch of records may be unpacked to: a small one can claim to hold gigabytes."""

import io
import logging
import zlib

import lz4.frame  # type: ignore[import-untyped]
from kafka.record import default_records
from kafka.record.default_records import DefaultRecordBatch

log = logging.getLogger(__name__)

# Agents send at most 1 MiB together.
MOST_BYTES = 8 * 1024 * 1024
_GZIP = 31


class _Refused(Exception):
    """A batch can't be unpacked, or is too large."""


def bound_unpacking() -> None:
    """Let every consumer of this process leave out, and log, what unpacks to too much.

    kafka-python, which is pinned, has no setting for it. A batch in a form that can't be unpacked
    is left out too, as nothing behind it would ever be read.
    """
    default_records.DefaultRecordBatch._maybe_uncompress = _maybe_unpack


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
    except _Refused as problem:
        log.error("the batch at offset %d is left out: %s", batch.base_offset, problem)
        records, batch._num_records = b"", 0
    batch._buffer, batch._pos = bytearray(records), 0
