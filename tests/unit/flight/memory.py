"""Governed reads over pyarrow tables in memory, held to the port that the Flight service uses."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from domain_agent.flight.framing import split
from domain_agent.flight.ports import Batch, Prepared, ReadContext, TableInfo
from mesh import errors

_SELECT = re.compile(
    r"SELECT\s+\*\s+FROM\s+(?P<name>[\w.]+)(\s+WHERE\s+(?P<column>\w+)\s*=\s*\?)?\s*", re.IGNORECASE
)
ENDLESS, SILENT, REVOKED, BROKEN = "endless", "silent", "revoked", "broken"
_EMPTY = pa.schema([])


def encapsulated(schema: pa.Schema) -> bytes:
    message: bytes = schema.serialize().to_pybytes()
    return message


def as_batch(batch: pa.RecordBatch) -> Batch:
    header, body = split(memoryview(batch.serialize()))
    return Batch(header, body, batch.num_rows)


@dataclass(frozen=True, slots=True)
class MemoryPrepared:
    """`SELECT * FROM <table> [WHERE <column> = ?]`."""

    table: str
    column: str | None
    schema: bytes
    parameter_schema: bytes


@dataclass(slots=True)
class MemoryReading:
    """Yields the batches of a table; some tables misbehave by name."""

    receipt: str
    schema: bytes
    table: str
    batches: Sequence[Batch]
    context: ReadContext
    closes: list[str | None] = field(default_factory=list)
    closed: threading.Event = field(default_factory=threading.Event)
    sent: int = 0

    def __iter__(self) -> Iterator[Batch]:
        for batch in self.batches:
            yield self._counted(batch)
        while self.table == ENDLESS and not self.closed.is_set():
            yield self._counted(self.batches[-1])
        if self.table == SILENT:
            self.closed.wait()
        if self.table == REVOKED:
            raise errors.StatementRevoked("The agreement ended.", receipt=self.receipt)
        if self.table == BROKEN:
            raise RuntimeError("secret of the table")

    def close(self, reason: str | None) -> None:
        if not self.closes:
            self.closes.append(reason)
        self.closed.set()

    def _counted(self, batch: Batch) -> Batch:
        self.sent += 1
        return batch


class MemoryReads:
    """Tables by their name in the product `flights` of the domain `ops`."""

    def __init__(self, tables: Mapping[str, pa.Table]) -> None:
        self._tables = dict(tables)
        self._opened = threading.Condition()
        self.readings: list[MemoryReading] = []

    def change(self, name: str, table: pa.Table) -> None:
        """As if what may be read of it became something else."""
        self._tables[name] = table

    def prepare(self, context: ReadContext, sql: str) -> MemoryPrepared:
        if context.purpose is None:
            raise errors.PurposeMissing("The read names no purpose; send it as x-mesh-purpose.")
        matched = _SELECT.fullmatch(sql)
        if matched is None:
            raise errors.StatementNotSelect("Only one SELECT is served.", receipt="refused-1")
        name = matched["name"].rpartition(".")[2]
        if name not in self._tables:
            raise errors.StatementNameUnknown(f"{matched['name']} is no dataset.")
        schema = self._tables[name].schema
        column = matched["column"]
        bound = pa.schema([pa.field("0", schema.field(column).type)]) if column else _EMPTY
        return MemoryPrepared(name, column, encapsulated(schema), encapsulated(bound))

    def bind(self, context: ReadContext, prepared: Prepared, parameters: bytes) -> MemoryPrepared:
        assert isinstance(prepared, MemoryPrepared)
        pa.ipc.open_stream(parameters).read_all()
        return prepared

    def open(
        self, context: ReadContext, prepared: Prepared, parameters: bytes | None
    ) -> MemoryReading:
        assert isinstance(prepared, MemoryPrepared)
        if context.purpose == "revoked":
            raise errors.AgreementRevoked("The agreement was revoked.", receipt="refused-2")
        table = self._tables[prepared.table]
        if prepared.column is not None:
            if parameters is None:
                raise errors.StatementParametersInvalid("Bind one parameter.")
            wanted = pa.ipc.open_stream(parameters).read_all().column(0)[0].as_py()
            kept = [value == wanted for value in table.column(prepared.column).to_pylist()]
            table = table.filter(pa.array(kept))
        batches = [as_batch(batch) for batch in table.to_batches()]
        with self._opened:
            receipt = f"receipt-{len(self.readings) + 1}"
            schema = encapsulated(table.schema)
            reading = MemoryReading(receipt, schema, prepared.table, batches, context)
            self.readings.append(reading)
            self._opened.notify_all()
        return reading

    def tables(self, context: ReadContext) -> Sequence[TableInfo]:
        return [
            TableInfo("ops", "flights", name, encapsulated(table.schema), f"the table {name}")
            for name, table in self._tables.items()
        ]

    def reading(self, number: int) -> MemoryReading:
        """The n-th reading that was opened, from 1; waits for it."""
        with self._opened:
            assert self._opened.wait_for(lambda: len(self.readings) >= number, timeout=20)
            return self.readings[number - 1]
