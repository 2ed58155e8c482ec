"""Records that arrive one by one, printed as they come."""

import csv
from collections.abc import Callable, Sequence
from datetime import datetime

from cli.flags import Format
from cli.layout import print_line
from cli.output import Record, cell, csv_cell, jsonable, title, write_yaml
from cli.session import Session
from cli.text import json_text
from mesh.times import rfc3339

LEADING = 4


def record_writer(session: Session, columns: Sequence[str]) -> Callable[[Record], None]:
    """Prints single records: JSON has one object a line, YAML a list that grows."""
    out = session.environment.out
    header: list[str] = []

    def write(record: Record) -> None:
        match session.format:
            case Format.JSON:
                out.stream.write(json_text(jsonable(record)) + "\n")
            case Format.YAML:
                write_yaml([record], out.stream)
            case Format.CSV:
                writer = csv.writer(out.stream, lineterminator="\n")
                if not header:
                    header.extend(record)
                    writer.writerow(header)
                writer.writerow([csv_cell(record.get(name)) for name in header])
            case Format.TABLE:
                parts = [(title(name), _cell(record.get(name), session.now())) for name in columns]
                print_line(parts, LEADING, out)
        out.stream.flush()

    return write


def _cell(value: object, now: datetime) -> str:
    return rfc3339(value) if isinstance(value, datetime) else cell(value, now)
