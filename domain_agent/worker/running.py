"""One command under way in a worker: its answers, its deadline, its cancellation."""

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic

from domain_agent.worker.child import Child, lost
from domain_agent.worker.frames import Fault, Frame, FrameKind, fault_from
from domain_agent.worker.lane import Lane
from domain_agent.worker.supervisor import Supervisor
from mesh.errors import MeshError, StatementTimedOut

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Batch:
    """One IPC record batch message: its header without a length prefix, its body, its rows."""

    header: bytes
    body: memoryview
    rows: int


class Answers:
    """The frames that answer one command. Its worker then goes back, or another replaces it."""

    def __init__(
        self, lane: Lane, child: Child, number: int, supervisor: Supervisor, seconds: float
    ) -> None:
        self._lane, self._child, self._number = lane, child, number
        self._supervisor, self._seconds = supervisor, seconds
        self._reading = threading.Lock()
        self._over = self._cancelled = self._late = False
        self._error: MeshError | None = None
        self._deadlines = [supervisor.at(monotonic() + seconds, self._expire)]

    def next(self) -> Frame | None:
        """The next frame, None after the last. Raises what ended the command early."""
        with self._reading:
            if self._over:
                if self._error is not None:
                    raise self._error
                return None
            return self._receive()

    def cancel(self, grace: float) -> None:
        """Stop the command; one that doesn't within the grace is killed. Any thread, any time."""
        if self._is_over():
            return
        self._cancelled = True
        self._child.cancel(self._number)
        late = self._supervisor.at(monotonic() + grace, self._drop)
        self._deadlines.append(late)
        with self._reading:
            while not self._is_over():
                self._receive()
        late.call_off()

    def _is_over(self) -> bool:
        return self._over

    def _receive(self) -> Frame | None:
        try:
            frame = self._child.receive()
        except EOFError:
            self._end(self._gone(), broken=True)
            return None
        if frame.number != self._number:
            self._end(lost(), broken=True)
        elif frame.kind is FrameKind.END:
            self._end(None)
        elif frame.kind is FrameKind.FAULT:
            fault = fault_from(frame.second)
            self._log(fault)
            self._end(fault.error, broken=fault.fatal)
        else:
            return frame
        return None

    def _end(self, error: MeshError | None, *, broken: bool = False) -> None:
        # First, so that no deadline of this command meets the worker's next one.
        for deadline in self._deadlines:
            deadline.call_off()
        self._over = True
        if self._late or broken:
            self._lane.drop(self._child)
            self._child.dispose()
        else:
            self._lane.give(self._child)
        if error is not None and not self._cancelled:
            self._error = error
            raise error

    def _gone(self) -> MeshError:
        if self._late:
            return StatementTimedOut(
                f"the statement ran longer than the {self._seconds:g} s that the agent allows;"
                " read less at once"
            )
        if not self._cancelled:
            log.error("worker %d died while it ran a command", self._child.pid)
        return lost()

    def _expire(self) -> None:
        self._late = True
        self._drop()

    def _drop(self) -> None:
        self._child.kill()
        self._lane.drop(self._child)

    def _log(self, fault: Fault) -> None:
        if fault.detail:
            log.warning("worker %d: %s: %s", self._child.pid, fault.error.reason, fault.detail)


class RunningStatement:
    """A statement's schema and its batches. `close` is idempotent, from any thread."""

    def __init__(self, answers: Answers, schema: bytes, grace: float) -> None:
        self.schema = schema
        self._answers, self._grace = answers, grace

    def __iter__(self) -> Iterator[Batch]:
        """The batches in order; after `close` there are no more. Raises a MeshError."""
        while (frame := self._answers.next()) is not None:
            if frame.kind is not FrameKind.BATCH:
                self.close()
                raise lost()
            yield Batch(bytes(frame.first), memoryview(frame.second), frame.rows)

    def close(self) -> None:
        """Stop the statement and free its worker."""
        self._answers.cancel(self._grace)
