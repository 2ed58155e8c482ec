"""A minimal Flight SQL server on pyarrow over the same file: what governing is compared with.

It speaks what ADBC's driver needs, so that the same client makes the same calls. Run it with the
file as argument; it prints its address.
"""

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
from google.protobuf.any_pb2 import Any as Packed
from google.protobuf.message import Message
from pyarrow import flight

from mesh.arrow import flight_sql_pb2 as sql

# As large as fits in a message of 16 MiB, which is what the driver takes.
_ROWS = 65_536


def database(path: Path) -> duckdb.DuckDBPyConnection:
    """The file as a view, in an instance set up like the agent's."""
    opened = duckdb.connect(
        ":memory:",
        config={"threads": 2, "memory_limit": "1024MiB", "enable_external_file_cache": False},
    )
    opened.execute("SET parquet_metadata_cache = true")
    opened.execute(f"CREATE VIEW lineitem AS SELECT * FROM read_parquet('{path}')")
    return opened


class Server(flight.FlightServerBase):  # type: ignore[misc]
    """Prepares, describes, binds and streams; no identity, no checks, no evidence."""

    def __init__(self, path: Path) -> None:
        super().__init__("grpc://127.0.0.1:0")
        self._database = database(path)
        self._statements: dict[bytes, str] = {}
        self._parameters: dict[bytes, list[object]] = {}
        self._schemas: dict[tuple[str, ...], pa.Schema] = {}

    def do_action(self, context: object, action: flight.Action) -> Iterator[bytes]:
        packed = _unpacked(action.body.to_pybytes())
        match packed:
            case sql.ActionCreatePreparedStatementRequest():
                handle = uuid.uuid4().bytes
                self._statements[handle] = packed.query
                schema = b"" if "?" in packed.query else self._schema(handle).serialize()
                yield _packed(
                    sql.ActionCreatePreparedStatementResult(
                        prepared_statement_handle=handle, dataset_schema=bytes(schema)
                    )
                )
            case sql.ActionClosePreparedStatementRequest():
                self._statements.pop(packed.prepared_statement_handle)
                self._parameters.pop(packed.prepared_statement_handle, None)

    def do_put(self, context: object, descriptor: Any, reader: Any, writer: Any) -> None:
        command = _unpacked(descriptor.command)
        assert isinstance(command, sql.CommandPreparedStatementQuery)
        handle = command.prepared_statement_handle
        (row,) = reader.read_all().to_pylist()
        self._parameters[handle] = list(row.values())
        result = sql.DoPutPreparedStatementResult(prepared_statement_handle=handle)
        writer.write(pa.py_buffer(result.SerializeToString()))

    def get_flight_info(self, context: object, descriptor: Any) -> flight.FlightInfo:
        command = _unpacked(descriptor.command)
        if not isinstance(command, sql.CommandPreparedStatementQuery):
            raise NotImplementedError(type(command).__name__)
        handle = command.prepared_statement_handle
        endpoint = flight.FlightEndpoint(flight.Ticket(handle), [])
        return flight.FlightInfo(self._schema(handle), descriptor, [endpoint], -1, -1)

    def do_get(self, context: object, ticket: flight.Ticket) -> flight.RecordBatchStream:
        return flight.RecordBatchStream(self._relation(ticket.ticket).to_arrow_reader(_ROWS))

    def _relation(self, handle: bytes) -> duckdb.DuckDBPyRelation:
        parameters = self._parameters.get(handle)
        return self._database.cursor().sql(self._statements[handle], params=parameters)

    def _schema(self, handle: bytes) -> pa.Schema:
        relation = self._relation(handle)
        # Asking DuckDB for Arrow's types runs a query, so their names are remembered.
        columns = (*relation.columns, *map(str, relation.types))
        if columns not in self._schemas:
            self._schemas[columns] = relation.limit(0).to_arrow_table().schema
        return self._schemas[columns]


def _unpacked(body: bytes) -> Message:
    packed = Packed.FromString(body)
    message: Message = getattr(sql, packed.TypeName().rpartition(".")[2])()
    packed.Unpack(message)
    return message


def _packed(message: Message) -> bytes:
    packed = Packed()
    packed.Pack(message)
    return packed.SerializeToString()


def main() -> None:
    """Serve until the process is ended."""
    server = Server(Path(sys.argv[1]))
    print(f"serving grpc://127.0.0.1:{server.port}", flush=True)
    server.serve()


if __name__ == "__main__":
    main()
