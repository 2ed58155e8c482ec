"""Whole reads, drained and timed: through ADBC, and straight from DuckDB in this process."""

import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql
import duckdb
import pyarrow as pa

from examples.airline.processes import ROOT, Service

_ROWS = 65_536


@dataclass(frozen=True, slots=True)
class Read:
    """What came, and how long it took from the statement to the last row."""

    rows: int
    bytes: int
    seconds: float

    @property
    def rows_per_second(self) -> float:
        return self.rows / self.seconds

    @property
    def megabytes_per_second(self) -> float:
        return self.bytes / self.seconds / 1e6


def over_adbc(
    connection: flightsql.Connection, sql: str, parameters: Sequence[object] | None = None
) -> Read:
    """Execute on a connection that is open, and drain."""
    began = time.perf_counter()
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows, size = _drained(cursor.fetch_record_batch())
    return Read(rows, size, time.perf_counter() - began)


def in_process(
    database: duckdb.DuckDBPyConnection, sql: str, parameters: Sequence[object] | None = None
) -> Read:
    """Run in DuckDB itself, and drain."""
    began = time.perf_counter()
    with database.cursor() as cursor:
        relation = cursor.sql(sql, params=parameters)
        rows, size = _drained(relation.to_arrow_reader(_ROWS))
    return Read(rows, size, time.perf_counter() - began)


@contextmanager
def ungoverned_server(file: Path, log: Path) -> Iterator[str]:
    """The address of a minimal Flight SQL server over the file, for the length of a block."""
    with log.open("w") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.ungoverned", str(file)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            start_new_session=True,
        )
    service = Service("ungoverned", process, log)
    try:
        yield service.wait_ready("serving ")
    finally:
        process.kill()
        service.stop()


def _drained(reader: pa.RecordBatchReader) -> tuple[int, int]:
    rows = size = 0
    with reader:
        for batch in reader:
            rows += batch.num_rows
            size += batch.nbytes
    return rows, size
