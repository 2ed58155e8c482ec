"""The agent's way to DuckDB: statements go to worker processes, Arrow IPC comes back."""

import json
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from domain_agent.enforcement.gate import load
from domain_agent.enforcement.plan import Plan, SourceColumn
from domain_agent.worker.child import lost
from domain_agent.worker.commands import Command, Describe, Inspect, Parse, Rewrite, Run
from domain_agent.worker.frames import FrameKind
from domain_agent.worker.lane import Lane
from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.running import Answers, RunningStatement
from domain_agent.worker.supervisor import Supervisor


class WorkerPool:
    """Thread-safe. Syntax has a process of its own, so that it never waits for statements."""

    def __init__(self, settings: PoolSettings) -> None:
        """Start the processes. Raises AgentNotReady where they can't run confined."""
        self._settings = settings
        self._supervisor = Supervisor()
        self._syntax = Lane(settings, 1, self._supervisor)
        self._statements = Lane(settings, settings.workers, self._supervisor)
        try:
            self._syntax.await_first()
            self._statements.await_first()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def parse(self, sql: str) -> Mapping[str, object]:
        """The syntax tree that DuckDB makes. Raises StatementInvalid or StatementNotSelect."""
        return load(self._result(self._syntax, Parse(sql)).decode())

    def rewrite(
        self, checked: Mapping[str, object], redacted: Mapping[str, object]
    ) -> tuple[str, Mapping[str, object], str]:
        """The checked tree as SQL, that SQL parsed again, and the redacted tree as SQL.

        Raises StatementInvalid.
        """
        answer = self._result(self._syntax, Rewrite(_text(checked), _text(redacted)))
        text, again, public = json.loads(answer)
        return text, load(again), public

    def inspect(self, path: str, format_: str, scan: str) -> tuple[SourceColumn, ...]:
        """The columns that a file has; those of a CSV file have no type. Raises SourceDrift."""
        found = json.loads(self._result(self._statements, Inspect(path, format_, scan)))
        return tuple(SourceColumn(str(name), str(type_)) for name, type_ in found)

    def describe(self, plan: Plan, sql: str, parameters: bytes | None = None) -> bytes:
        """The schema that `run` will have, as an IPC message.

        `parameters` is an IPC stream whose schema types the parameters; without one they are
        untyped. Raises a Statement* or Source* error.
        """
        command = Describe(plan, sql, parameters)
        return self._result(self._statements, command, plan.key)

    def run(
        self,
        plan: Plan,
        sql: str,
        parameters: bytes | None,
        deadline_seconds: float,
    ) -> RunningStatement:
        """Start a SELECT, run as it is given; `parameters` is an IPC stream of one row.

        Raises a Statement* or Source* error, and so may the iteration.
        """
        command = Run(plan, sql, parameters)
        answers = self._ask(self._statements, command, plan.key, deadline_seconds)
        frame = answers.next()
        if frame is None or frame.kind is not FrameKind.SCHEMA:
            answers.cancel(self._settings.grace_seconds)
            raise lost()
        return RunningStatement(answers, bytes(frame.second), self._settings.grace_seconds)

    def renew(self) -> None:
        """Forget every plan and key: processes are replaced, busy ones when they have answered."""
        self._statements.renew()

    def close(self) -> None:
        """End every process."""
        self._syntax.close()
        self._statements.close()
        self._supervisor.close()

    def _result(self, lane: Lane, command: Command, plan_key: str | None = None) -> bytes:
        answers = self._ask(lane, command, plan_key, self._settings.command_seconds)
        frame = answers.next()
        if frame is None or frame.kind is not FrameKind.RESULT or answers.next() is not None:
            answers.cancel(self._settings.grace_seconds)
            raise lost()
        return bytes(frame.second)

    def _ask(self, lane: Lane, command: Command, plan_key: str | None, seconds: float) -> Answers:
        child = lane.take(plan_key)
        try:
            number = child.ask(command, plan_key)
        except BaseException:
            lane.drop(child)
            child.dispose()
            raise
        return Answers(lane, child, number, self._supervisor, seconds)


def _text(tree: Mapping[str, object]) -> str:
    return json.dumps(tree, separators=(",", ":"))
