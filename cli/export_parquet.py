"""An export as Parquet: one row a line, with what records say openly in columns beside them."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from cli.parquet_form import GROUP_BYTES, ROWS, FormOdd, check_form, without_sizes
from mesh import errors
from mesh.evidence.codec import decode_event
from mesh.evidence.envelopes import is_envelope
from mesh.evidence.verifying import Finding, Wrong

_MANIFEST = b"meshwarden.manifest"
_AT_ONCE = 256
# What the lines are made of again; every other column only repeats what a record says.
_LEAVES, _RECORD = "leaves", "record"
_FIELDS = [
    ("source", pa.string()),
    ("sequence", pa.int64()),
    ("id", pa.string()),
    ("type", pa.string()),
    ("time", pa.timestamp("us", "UTC")),
    ("receipt", pa.string()),
    ("statement", pa.string()),
    ("purpose", pa.string()),
    ("reasons", pa.list_(pa.string())),
    ("products", pa.list_(pa.string())),
    ("datasets", pa.list_(pa.string())),
    ("rows", pa.int64()),
    ("bytes", pa.int64()),
    ("duration_ms", pa.int64()),
    ("reason", pa.string()),
]
_SCHEMA = pa.schema([*_FIELDS, (_RECORD, pa.binary()), (_LEAVES, pa.binary())])


def write_parquet(file: BinaryIO, lines: Iterable[bytes]) -> None:
    """Write the lines of an export, the manifest into the file's metadata."""
    rest = iter(lines)
    manifest = next(rest, b"")
    schema = _SCHEMA.with_metadata({_MANIFEST: manifest})
    with pq.ParquetWriter(
        file,
        schema,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
        write_page_checksum=True,
    ) as writer:
        for group in _groups(rest):
            writer.write_table(pa.Table.from_pylist([_row(line) for line in group], schema))
    without_sizes(file)


def _groups(rest: Iterable[bytes]) -> Iterator[list[bytes]]:
    """The lines of each row group."""
    group: list[bytes] = []
    size = 0
    for line in rest:
        if group and (len(group) == ROWS or size + len(line) > GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(line)
        size += len(line)
    if group:
        yield group


def read_parquet(path: Path, found: Callable[[Finding], None]) -> Iterator[bytes]:
    """The lines again. `found` is told of columns that say another thing than their record.

    It is told as well of a file that an export's writer would not make: nothing of it is read.
    Raises EvidenceInvalid when the file can't be read as Parquet.
    """
    try:
        with path.open("rb") as form:
            check_form(form, len(_SCHEMA))
    except FormOdd as error:
        found(Finding(Wrong.FORM, f"the Parquet file is not as an export makes it: {error}"))
        return
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            if file.schema_arrow.remove_metadata() != _SCHEMA:
                raise errors.EvidenceInvalid(f"{path} has other columns than an export")
            yield (file.schema_arrow.metadata or {}).get(_MANIFEST, b"")
            batches = (
                batch.to_pylist() for batch in file.iter_batches(_AT_ONCE, use_threads=False)
            )
            for row in chain.from_iterable(batches):
                yield _line(row, found)
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        raise errors.EvidenceInvalid(f"{path} can't be read as Parquet: {error}") from error


def _row(line: bytes) -> dict[str, object]:
    if is_envelope(line):
        return {_LEAVES: line}
    return {**_columns(line[:-1]), _RECORD: line[:-1]}


def _line(row: Mapping[str, object], found: Callable[[Finding], None]) -> bytes:
    leaves, record = row[_LEAVES], row[_RECORD]
    if isinstance(leaves, bytes) and record is None:
        beside = sorted(name for name, _ in _FIELDS if row[name] is not None)
        if beside:
            message = f"{', '.join(beside)} stands beside signed hashes, where no record is"
            found(Finding(Wrong.EXTRA, message))
        return leaves
    content = record if isinstance(record, bytes) else b""
    said = {name: row[name] for name, _ in _FIELDS}
    meant = _columns(content)
    wrong = sorted(name for name in said if said[name] != meant.get(name))
    if wrong:
        log = str(meant.get("source")).removeprefix("/agents/")
        sequence = meant.get("sequence")
        place = sequence if isinstance(sequence, int) else None
        message = f"{', '.join(wrong)} beside the record says another thing than it"
        found(Finding(Wrong.RECORD, message, log, place, place))
    return content + b"\n"


def _columns(record: bytes) -> dict[str, object]:
    """What a record says openly; nothing of bytes that are no record."""
    try:
        event = decode_event(record)
        data = event.data
        decisions = _dicts(data.get("decisions"))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError):
        return {}
    products = {_text(one.get("product")) for one in decisions} - {None}
    return {
        "source": _text(event.source),
        "sequence": _number(event.sequence),
        "id": _text(event.id),
        "type": event.type.value,
        "time": event.time,
        "receipt": _text(event.receipt),
        "statement": _text(data.get("statement")),
        "purpose": _text(data.get("purpose")),
        "reasons": _texts(data.get("reasons")),
        "products": sorted(name for name in products if name),
        "datasets": [f"{one.get('product')}.{one.get('dataset')}" for one in decisions],
        "rows": _number(data.get("rows")),
        "bytes": _number(data.get("bytes")),
        "duration_ms": _number(data.get("duration_ms")),
        "reason": _text(data.get("reason")),
    }


def _dicts(value: object) -> list[Mapping[str, object]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


def _texts(value: object) -> list[str]:
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []


def _text(value: object) -> str | None:
    """Text that every reader takes."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "replace").decode()


def _number(value: object) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool) and -(2**63) <= value < 2**63
    return value if whole and isinstance(value, int) else None
