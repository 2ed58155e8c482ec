"""Results as data, and the four ways to print them: table, JSON, YAML, CSV."""

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import TextIO, TypeAlias

import yaml

from cli.environment import Terminal
from cli.flags import Format
from cli.layout import Sheet, print_fields, print_heading, print_table
from cli.text import instant, json_text, plain
from mesh.times import in_words, rfc3339

INDENT = 2
Record: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Listing:
    """Things of one kind. A table shows `columns` of them; the other forms show everything."""

    records: Sequence[Record]
    columns: tuple[str, ...]
    empty: str = "None found."


@dataclass(frozen=True, slots=True)
class Detail:
    """One thing. A table shows `fields` of it one below the other, then the sections.

    `worded` replaces values in tables alone, where people need a word for what is absent.
    """

    record: Record
    fields: tuple[str, ...]
    sections: "Sequence[Section]" = ()
    worded: Record = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Section:
    """Part of a thing that reads best on its own."""

    title: str
    body: Listing | Detail


Result: TypeAlias = Listing | Detail


def show(result: Result, format_: Format, terminal: Terminal, now: datetime) -> None:
    """Print a result."""
    match format_:
        case Format.TABLE:
            _table(result, terminal, now)
        case Format.JSON:
            write_json(_document(result), terminal.stream)
        case Format.YAML:
            write_yaml(_document(result), terminal.stream)
        case Format.CSV:
            records = result.records if isinstance(result, Listing) else [result.record]
            names = result.columns if isinstance(result, Listing) else result.fields
            write_csv(records, names, terminal.stream)


def write_json(document: object, stream: TextIO) -> None:
    """Indented JSON; times are RFC 3339 in UTC."""
    stream.write(json_text(jsonable(document), indent=2) + "\n")


def write_yaml(document: object, stream: TextIO) -> None:
    """YAML in the order of the fields; times are text."""
    dumped = yaml.dump(
        jsonable(document),
        Dumper=yaml.CSafeDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
    )
    stream.write(dumped)


def write_csv(records: Sequence[Record], names: Sequence[str], stream: TextIO) -> None:
    """Header and one line each: every field of the records, or `names` when there are none."""
    columns = list(dict.fromkeys(key for record in records for key in record)) or list(names)
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(columns)
    for record in records:
        writer.writerow([csv_cell(record.get(column)) for column in columns])


def jsonable(value: object) -> object:
    """The value in JSON's terms."""
    match value:
        case None | str() | bool() | int() | float():
            return value
        case Mapping():
            return {str(key): jsonable(part) for key, part in value.items()}
        case Sequence() if not isinstance(value, bytes):
            return [jsonable(part) for part in value]
        case _:
            return _written(value)


def csv_cell(value: object) -> str:
    """The value as one field: lists of words joined by spaces, anything deeper as JSON."""
    simple = jsonable(value)
    match simple:
        case None:
            return ""
        case str():
            return simple
        case bool():
            return "true" if simple else "false"
        case list() if all(isinstance(part, str) and " " not in part for part in simple):
            return " ".join(str(part) for part in simple)
        case list() | dict():
            return json.dumps(simple, ensure_ascii=False, separators=(",", ":"))
        case _:
            return str(simple)


def _document(result: Result) -> object:
    return list(result.records) if isinstance(result, Listing) else result.record


def _table(result: Result, terminal: Terminal, now: datetime, indent: int = 0) -> None:
    if isinstance(result, Listing):
        if result.records:
            print_table(_sheet(result, now), terminal, indent)
        else:
            print_fields([("", result.empty)], terminal, indent)
        return
    shown = {**result.record, **result.worded}
    fields = [(title(name), cell(shown.get(name), now)) for name in result.fields]
    print_fields(fields, terminal, indent)
    for section in result.sections:
        print_heading(section.title, terminal, indent)
        _table(section.body, terminal, now, indent + INDENT)


def _sheet(listing: Listing, now: datetime) -> Sheet:
    rows = [
        [cell(record.get(column), now) for column in listing.columns] for record in listing.records
    ]
    return Sheet([title(column) for column in listing.columns], rows)


def title(key: str) -> str:
    """A field's name for people."""
    return key.replace("_", " ")


def cell(value: object, now: datetime) -> str:
    """A value for people, on one line and free of control characters."""
    match value:
        case None | "":
            return "-"
        case datetime():
            return f"{in_words(value, now)} ({rfc3339(value)})"
        case bool():
            return "yes" if value else "no"
        case int():
            return f"{value:,}" if abs(value) >= 1_000 else str(value)
        case list() | tuple():
            return ", ".join(cell(part, now) for part in value) or "-"
        case _:
            return plain(csv_cell(value))


def _written(value: object) -> str:
    match value:
        case datetime() if value.tzinfo is not None:
            return instant(value)
        case date():
            return value.isoformat()
        case bytes():
            return value.hex()
        case _:
            return str(value)
