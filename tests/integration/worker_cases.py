"""Governed reads through real worker processes: a small product, its plan, its rows."""

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from domain_agent.enforcement.plan import Plan, plan_dataset, plan_statement
from domain_agent.sources.reader import SourceReader
from domain_agent.worker.pool import WorkerPool
from domain_agent.worker.running import Batch, RunningStatement
from mesh.contracts.values import Classification, Column, Contract, Dataset, Server
from mesh.decisions.values import Decision, MaskChoice, RowRule
from mesh.masks import Mask

KEY = bytes(range(32))
LOGICAL = {"VARCHAR": "string", "BIGINT": "integer", "DOUBLE": "number", "DATE": "date"}
PASSENGERS = pa.table(
    {
        "id": pa.array(range(1, 7), pa.int64()),
        "email": [
            "ana@raw.example",
            "bo@raw.example",
            None,
            "ana@raw.example",
            "",
            "eve-raw-secret",
        ],
        "country": ["DE", "FR", "DE", None, "DE", "XX"],
        "age": pa.array([31, 44, None, 17, 62, 999_983], pa.int64()),
        "passport": ["RAWPASS1", "RAWPASS2", "RAWPASS3", None, "RAWPASS5", "RAWPASS6"],
    }
)
COLUMNS = {
    "id": "integer",
    "email": "string",
    "country": "string",
    "age": "integer",
    "passport": "string",
}
T = "bookings.reservations.passengers"
SELECT_ALL = f"SELECT * FROM {T}"


def contract(
    folder: Path,
    columns: Mapping[str, str] = COLUMNS,
    file: str = "passengers.parquet",
    format_: str = "parquet",
) -> Contract:
    """A contract of one dataset, `passengers`; columns are name -> logical type."""
    listed = tuple(
        Column(name, logical, None, Classification.CONFIDENTIAL)
        for name, logical in columns.items()
    )
    dataset = Dataset("passengers", file, listed)
    return Contract(
        domain="bookings",
        product="reservations",
        version="1.0.0",
        contract_id="x",
        status="active",
        title="Reservations",
        owners=("user:ana",),
        purposes=(),
        roles=(),
        datasets=(dataset,),
        server=Server(str(folder), format_),
    )


def plan(
    pool: WorkerPool,
    declared: Contract,
    masks: Mapping[str, Mask] | None = None,
    rows: Sequence[Mapping[str, object]] = (),
    limits: Mapping[str, int] | None = None,
) -> Plan:
    """A plan over the contract's dataset, with a mask per column; clear where none is given."""
    names = [column.name for column in declared.datasets[0].columns]
    chosen = masks or {}
    decision = Decision(
        allow=True,
        masks={name: MaskChoice(chosen.get(name, Mask.CLEAR), ()) for name in names},
        rows=tuple(RowRule("library.role", filter_) for filter_ in rows),
        limits=limits or {},
    )
    root = Path(declared.server.path)
    source = SourceReader((root,), pool).source(declared, "passengers")
    classes = {name: name for name in names}
    return plan_statement(
        declared.domain, [(plan_dataset(declared, "passengers", decision, classes, source), KEY)]
    )


def passengers(folder: Path, table: pa.Table = PASSENGERS) -> Path:
    """The product's file, written."""
    path = folder / "passengers.parquet"
    pq.write_table(table, path)
    return path


def written(pool: WorkerPool, sql: str) -> str:
    """The statement as the agent has it run: made from its tree."""
    tree = pool.parse(sql)
    return pool.rewrite(tree, tree)[0]


def start(
    pool: WorkerPool,
    planned: Plan,
    sql: str = SELECT_ALL,
    parameters: bytes | None = None,
    seconds: float = 20.0,
) -> RunningStatement:
    """A statement under way."""
    return pool.run(planned, written(pool, sql), parameters, seconds)


def table_of(schema: bytes, batches: Sequence[Batch]) -> pa.Table:
    """The rows as a client puts them together from the messages."""
    parts = [schema]
    for batch in batches:
        size = len(batch.header)
        parts += [b"\xff\xff\xff\xff", size.to_bytes(4, "little"), batch.header, bytes(batch.body)]
    with pa.ipc.open_stream(b"".join(parts)) as reader:
        return reader.read_all()


def read(
    pool: WorkerPool, planned: Plan, sql: str = SELECT_ALL, parameters: bytes | None = None
) -> pa.Table:
    """The whole result of a statement, whose description must be exact."""
    running = start(pool, planned, sql, parameters)
    try:
        batches = list(running)
    finally:
        running.close()
    table = table_of(running.schema, batches)
    table.validate(full=True)
    assert sum(batch.rows for batch in batches) == table.num_rows
    assert pool.describe(planned, written(pool, sql), parameters) == running.schema
    return table


def rows(pool: WorkerPool, planned: Plan, sql: str) -> list[dict[str, Any]]:
    """The rows of a statement as dictionaries."""
    found: list[dict[str, Any]] = read(pool, planned, sql).to_pylist()
    return found


def stream(**columns: Any) -> bytes:
    """Parameters as a client sends them: an IPC stream of one row."""
    return stream_of(pa.record_batch({name: pa.array([v]) for name, v in columns.items()}))


def stream_of(batch: pa.RecordBatch) -> bytes:
    """A batch as an IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    content: bytes = sink.getvalue().to_pybytes()
    return content


def until(condition: Callable[[], bool], seconds: float = 15.0) -> None:
    """Wait for a condition, which must come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.01)
