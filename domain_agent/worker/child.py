"""The agent's end of one worker process."""

import itertools
import logging
import pickle
import signal
import socket
import subprocess
import sys
import threading
from collections import OrderedDict
from pathlib import Path

from domain_agent.worker.commands import Command
from domain_agent.worker.frames import Frame, FrameKind, fault_from, receive, send
from domain_agent.worker.limits import PoolSettings
from mesh.errors import AgentNotReady, StatementWorkerLost

log = logging.getLogger(__name__)

PACKAGE_ROOT = Path(__file__).parents[2]
_MODULE = "domain_agent.worker.process"


class Child:
    """Owned by one statement at a time; only `kill` and `cancel` may come from elsewhere."""

    def __init__(self, settings: PoolSettings, agent: int) -> None:
        """Start the process, which dies with the thread that calls this."""
        ours, theirs = socket.socketpair()
        self._end = ours
        self._plans: OrderedDict[str, None] = OrderedDict()
        self._instances = settings.instances
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-P", "-s", "-m", _MODULE, str(theirs.fileno()), str(agent)],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                env={
                    "PYTHONPATH": str(PACKAGE_ROOT),
                    "LC_ALL": "C.UTF-8",
                    "TZ": "UTC",
                    # Threads and arenas that nothing here uses would eat the address space.
                    "OPENBLAS_NUM_THREADS": "1",
                    "MALLOC_ARENA_MAX": "2",
                },
            )
        send(ours, Frame(FrameKind.COMMAND, 0, second=pickle.dumps(settings)))

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def fileno(self) -> int:
        """What becomes readable when the process is ready, or gone."""
        return self._end.fileno()

    def started(self) -> None:
        """Take the process's word that it is confined and ready. Raises AgentNotReady."""
        try:
            frame = receive(self._end)
        except EOFError:
            code = self._process.wait()
            raise AgentNotReady(f"a worker process ended at its start with {code}") from None
        if frame.kind is not FrameKind.READY:
            raise fault_from(frame.second).error

    def ask(self, command: Command, plan_key: str | None = None) -> int:
        """Send a command; the number that its answers carry. Raises StatementWorkerLost."""
        number = next(self._numbers)
        content = pickle.dumps(command)
        try:
            with self._sending:
                send(self._end, Frame(FrameKind.COMMAND, number, second=content))
        except OSError:
            raise lost() from None
        if plan_key is not None:
            self._plans[plan_key] = None
            self._plans.move_to_end(plan_key)
            while len(self._plans) > self._instances:
                self._plans.popitem(last=False)
        return number

    def cancel(self, number: int) -> None:
        """Ask the process to stop that command; a process that is gone has stopped."""
        try:
            with self._sending:
                send(self._end, Frame(FrameKind.CANCEL, number))
        except OSError:
            log.debug("worker %d was gone before its statement was cancelled", self.pid)

    def receive(self) -> Frame:
        """The next answer. Raises EOFError when the process is gone."""
        return receive(self._end)

    def knows(self, plan_key: str | None) -> bool:
        """Whether the process already has an instance of the plan."""
        return plan_key in self._plans

    def kill(self) -> None:
        """End the process at once; whoever waits for its answer learns."""
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGKILL)

    def dispose(self) -> None:
        """End the process and free what it held here."""
        self.kill()
        self._process.wait()
        self._end.close()


def lost() -> StatementWorkerLost:
    """The error for a process that is gone."""
    return StatementWorkerLost("the process that ran the statement died; try again")
