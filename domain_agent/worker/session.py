"""A worker's work: commands in, frames out, one at a time."""

import contextlib
import json
import queue
import socket
import threading
from collections import OrderedDict
from collections.abc import Generator, Iterator

import duckdb

from domain_agent.enforcement.plan import Plan
from domain_agent.worker import faults
from domain_agent.worker.commands import Command, Describe, Inspect, Parse, Rewrite, Run
from domain_agent.worker.frames import Frame, FrameKind, fault_bytes, send
from domain_agent.worker.instance import Instance, columns, connection
from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.parameters import Bound
from domain_agent.worker.schemas import Schemas
from domain_agent.worker.statements import Statement, frames
from domain_agent.worker.syntax import Syntax

_INTERRUPT_EVERY = 0.02


class Session:
    """Runs commands in order; `cancel` may come from another thread."""

    def __init__(self, end: socket.socket, settings: PoolSettings) -> None:
        self._end, self._settings = end, settings
        self._syntax = Syntax(settings)
        self._schemas = Schemas()
        self._instances: OrderedDict[str, Instance] = OrderedDict()
        self._active: tuple[int, duckdb.DuckDBPyConnection] | None = None
        self._cancelled = -1
        self._idle = threading.Event()

    def serve(self, commands: "queue.SimpleQueue[tuple[int, Command] | None]") -> None:
        """Answer commands until None or a fatal fault."""
        while (numbered := commands.get()) is not None:
            number, command = numbered
            if not self._answer(number, command):
                return

    def cancel(self, number: int) -> None:
        """Interrupt the command of that number, until it has stopped."""
        self._cancelled = max(self._cancelled, number)
        while (active := self._active) is not None and active[0] <= number:
            active[1].interrupt()
            self._idle.wait(_INTERRUPT_EVERY)

    def _answer(self, number: int, command: Command) -> bool:
        """Whether the worker can go on afterwards."""
        statement = command.sql if isinstance(command, Parse | Describe | Run) else ""
        try:
            with contextlib.closing(self._frames(number, command)) as answer:
                for frame in answer:
                    if self._cancelled >= number:
                        break
                    send(self._end, frame)
        except Exception as error:  # noqa: BLE001 - whatever fails is told, never swallowed
            if self._cancelled < number:
                fault = faults.fault(error, statement)
                send(self._end, Frame(FrameKind.FAULT, number, second=fault_bytes(fault)))
                return not fault.fatal
        send(self._end, Frame(FrameKind.END, number))
        return True

    def _frames(self, number: int, command: Command) -> Generator[Frame, None, None]:
        match command:
            case Parse(sql=sql):
                yield _result(number, self._syntax.parse(sql).encode())
            case Rewrite(checked=checked, redacted=redacted):
                texts = self._syntax.rewrite(checked, redacted)
                yield _result(number, json.dumps(texts).encode())
            case Inspect(path=path, format=format_, scan=scan):
                yield _result(number, self._inspected(path, format_, scan))
            case Describe(plan=plan, sql=sql, parameters=parameters):
                bound = Bound(parameters, described=True)
                with self._statement(number, plan, sql, bound) as statement:
                    yield _result(number, statement.schema.serialize().to_pybytes())
            case Run(plan=plan, sql=sql, parameters=parameters):
                bound = Bound(parameters, described=False)
                with self._statement(number, plan, sql, bound) as statement:
                    schema = statement.schema.serialize().to_pybytes()
                    yield Frame(FrameKind.SCHEMA, number, second=schema)
                    size = self._settings.batch_bytes
                    for batch in statement.batches(size, plan.row_limit):
                        yield from frames(number, batch, size)

    @contextlib.contextmanager
    def _statement(self, number: int, plan: Plan, sql: str, bound: Bound) -> Iterator[Statement]:
        instance = self._instance(plan)
        with contextlib.closing(instance.cursor()) as cursor:
            self._idle.clear()
            self._active = (number, cursor)
            try:
                yield Statement(cursor, self._syntax.select(sql), bound, self._schemas)
            finally:
                self._active = None
                self._idle.set()

    def _instance(self, plan: Plan) -> Instance:
        known = self._instances.pop(plan.key, None)
        if known is not None and not known.current():
            known.close()
            known = None
        while known is None and len(self._instances) >= self._settings.instances:
            self._instances.popitem(last=False)[1].close()
        self._instances[plan.key] = known = known or Instance(plan, self._settings)
        return known

    def _inspected(self, path: str, format_: str, scan: str) -> bytes:
        with contextlib.closing(connection(self._settings)) as empty:
            found = columns(empty, path, format_, scan)
        return json.dumps([[column.name, column.type] for column in found]).encode()


def _result(number: int, content: bytes) -> Frame:
    return Frame(FrameKind.RESULT, number, second=content)
