"""Rows as they arrive, printed as JSON, YAML, CSV or a table."""

import csv
import json
from collections.abc import Iterator
from itertools import chain
from typing import TextIO

import click
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from cli.environment import Terminal
from cli.flags import Format
from cli.grid import Grid, print_grid
from cli.output import jsonable, write_yaml
from cli.text import plain

SAMPLE_ROWS = 1_000
# What a terminal keeps free for the prompt, the titles and the notes.
RESERVED_LINES = 8
LEAST_ROWS = 10
_FRACTION = r"\.0+$|(\.\d*[1-9])0+$"


def show_batches(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], format_: Format, terminal: Terminal
) -> tuple[int, int]:
    """Print all rows, or in a terminal's table as many as fit; rows read and rows shown."""
    match format_:
        case Format.JSON:
            return _same(_json(batches, terminal.stream))
        case Format.YAML:
            return _same(_yaml(batches, terminal.stream))
        case Format.CSV:
            return _same(_csv(schema, batches, terminal.stream))
        case Format.TABLE:
            return _table(schema, batches, terminal)


def _same(rows: int) -> tuple[int, int]:
    return rows, rows


def _json(batches: Iterator[pa.RecordBatch], stream: TextIO) -> int:
    rows = 0
    stream.write("[")
    encode = json.JSONEncoder(ensure_ascii=False).encode
    for batch in batches:
        lines = ",\n ".join(encode(row) for row in _rows(batch))
        if lines:
            stream.write(",\n " if rows else "\n ")
            stream.write(lines)
            rows += batch.num_rows
    stream.write("\n]\n" if rows else "]\n")
    return rows


def _yaml(batches: Iterator[pa.RecordBatch], stream: TextIO) -> int:
    rows = 0
    for batch in batches:
        if batch.num_rows:
            write_yaml(_rows(batch), stream)
            rows += batch.num_rows
    if not rows:
        stream.write("[]\n")
    return rows


def _csv(schema: pa.Schema, batches: Iterator[pa.RecordBatch], stream: TextIO) -> int:
    rows = 0
    csv.writer(stream, lineterminator="\n").writerow(schema.names)
    options = pacsv.WriteOptions(include_header=False)
    for batch in batches:
        columns = [_flat(column) for column in batch.columns]
        sink = pa.BufferOutputStream()
        pacsv.write_csv(pa.record_batch(columns, names=schema.names), sink, options)
        click.echo(sink.getvalue().to_pybytes(), file=stream, nl=False)
        rows += batch.num_rows
    return rows


def _table(
    schema: pa.Schema, batches: Iterator[pa.RecordBatch], terminal: Terminal
) -> tuple[int, int]:
    room = max(terminal.height - RESERVED_LINES, LEAST_ROWS)
    sample: list[list[str]] = []
    read = 0
    for batch in batches:
        sample.extend(_cells(batch.slice(0, max(min(room, SAMPLE_ROWS) - len(sample), 0))))
        read += batch.num_rows
        if read >= min(room, SAMPLE_ROWS):
            rest = [batch.slice(batch.num_rows - (read - len(sample)))]
            break
    else:
        rest = []
    numeric = [pa.types.is_integer(f.type) or pa.types.is_floating(f.type) for f in schema]
    grid = Grid([plain(name) for name in schema.names], numeric, sample)
    following = (row for batch in chain(rest, batches) for row in _cells(batch))
    if terminal.is_terminal:
        print_grid(grid, iter(()), terminal)
        return read + sum(batch.num_rows for batch in batches), len(sample)
    extra = print_grid(grid, following, terminal)
    return len(sample) + extra, len(sample) + extra


def _rows(batch: pa.RecordBatch) -> list[dict[str, object]]:
    names = batch.schema.names
    columns = [_values(column) for column in batch.columns]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _values(column: pa.Array) -> list[object]:
    """The column in JSON's terms; what needs no care is not looked at value by value."""
    written = _written(column)
    values: list[object] = written.to_pylist()
    kind = written.type
    if pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_boolean(kind):
        return values
    if pa.types.is_floating(kind) and pc.all(pc.is_finite(written)).as_py() is not False:
        return values
    return [_finite(jsonable(value)) for value in values]


def _cells(batch: pa.RecordBatch) -> list[list[str]]:
    columns = [_flat(column).cast(pa.string()).to_pylist() for column in batch.columns]
    return [
        ["-" if value is None else plain(value) for value in values]
        for values in zip(*columns, strict=True)
    ]


def _written(column: pa.Array) -> pa.Array:
    """Dictionaries as their values, instants as RFC 3339; without an offset where none is known."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if not pa.types.is_timestamp(column.type):
        return column
    zone = "Z" if column.type.tz is not None else ""
    in_utc = column.cast(pa.timestamp(column.type.unit, "UTC" if zone else None))
    text = pc.strftime(in_utc, format="%Y-%m-%dT%H:%M:%S")
    trimmed = pc.replace_substring_regex(text, pattern=_FRACTION, replacement="\\1")
    return pc.binary_join_element_wise(trimmed, zone, "") if zone else trimmed


def _flat(column: pa.Array) -> pa.Array:
    """The column as a type that a text field holds; what is nested or binary as JSON or hex."""
    written = _written(column)
    kind = written.type
    if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return pa.array([_text(value) for value in written.to_pylist()], pa.string())
    if pa.types.is_duration(kind) or pa.types.is_interval(kind):
        return pa.array([_text(value) for value in written.to_pylist()], pa.string())
    return written


def _text(value: object) -> str | None:
    simple = _finite(jsonable(value))
    if simple is None or isinstance(simple, str):
        return simple
    return json.dumps(simple, ensure_ascii=False)


def _finite(value: object) -> object:
    """JSON has no NaN and no infinities; they become text."""
    match value:
        case float() if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124
            return str(value)
        case dict():
            return {key: _finite(part) for key, part in value.items()}
        case list():
            return [_finite(part) for part in value]
        case _:
            return value
