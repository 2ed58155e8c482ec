"""The one thread that starts worker processes and acts on deadlines.

Workers die with the thread that started them, so that thread lives as long as the pool.
"""

import heapq
import itertools
import logging
import os
import selectors
import socket
import threading
from collections.abc import Callable
from time import monotonic

from domain_agent.worker.child import Child
from domain_agent.worker.limits import PoolSettings
from mesh.errors import AgentNotReady

log = logging.getLogger(__name__)

_SLOWEST_RETRY = 5.0


class Deadline:
    """A moment at which something happens unless it is called off before."""

    __slots__ = ("_act", "_lock")

    def __init__(self, act: Callable[[], None]) -> None:
        self._act: Callable[[], None] | None = act
        self._lock = threading.Lock()

    def call_off(self) -> None:
        """After this returns it does not happen any more."""
        with self._lock:
            self._act = None

    def strike(self) -> None:
        """Let it happen, once."""
        with self._lock:
            act, self._act = self._act, None
            if act is not None:
                act()


class Supervisor:
    """Starts what `start` asks for, again and again until it runs or the pool closes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries = itertools.count()
        self._deadlines: list[tuple[float, int, Deadline]] = []
        self._closing = False
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = socket.socketpair()
        self._wake_read.setblocking(False)
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._run, name="workers", daemon=True)
        self._thread.start()

    def at(self, moment: float, act: Callable[[], None]) -> Deadline:
        """Act at a moment of the monotonic clock; `act` must be short and not raise."""
        deadline = Deadline(act)
        with self._lock:
            first = not self._deadlines or moment < self._deadlines[0][0]
            heapq.heappush(self._deadlines, (moment, next(self._entries), deadline))
        if first:
            self._wake()
        return deadline

    def start(
        self,
        settings: PoolSettings,
        ready: Callable[[Child], None],
        failed: Callable[[AgentNotReady], None],
        delay: float = 0.0,
    ) -> None:
        """Start a process. It is handed to `ready`; each failure is told and tried again."""

        def begin() -> None:
            if self._closing:
                return
            try:
                child = Child(settings, os.getpid())
            except OSError as error:
                again(AgentNotReady(f"no worker process can be started: {error.strerror}"))
                return
            late = self.at(monotonic() + settings.start_seconds, child.kill)
            self._selector.register(child, selectors.EVENT_READ, lambda: settle(child, late))

        def settle(child: Child, late: Deadline) -> None:
            self._selector.unregister(child)
            try:
                child.started()
            except AgentNotReady as error:
                late.call_off()
                child.dispose()
                again(error)
            else:
                late.call_off()
                ready(child)

        def again(error: AgentNotReady) -> None:
            log.error("a worker process did not start: %s", error.message)
            failed(error)
            self.start(settings, ready, failed, min(max(2 * delay, 0.1), _SLOWEST_RETRY))

        self.at(monotonic() + delay, begin)

    def close(self) -> None:
        """Stop; processes that are still starting end with the thread."""
        self._closing = True
        self._wake()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, Child):
                key.fileobj.dispose()
        self._selector.close()
        self._wake_read.close()
        self._wake_write.close()

    def _run(self) -> None:
        while not self._closing:
            try:
                self._turn()
            except Exception:
                # The workers live only as long as this thread.
                log.exception("the supervisor of the workers met a defect")

    def _turn(self) -> None:
        for key, _ in self._selector.select(self._pause()):
            if key.data is None:
                self._drain()
            else:
                key.data()
        for deadline in self._due():
            deadline.strike()

    def _pause(self) -> float | None:
        with self._lock:
            return max(0.0, self._deadlines[0][0] - monotonic()) if self._deadlines else None

    def _due(self) -> list[Deadline]:
        now, due = monotonic(), []
        with self._lock:
            while self._deadlines and self._deadlines[0][0] <= now:
                due.append(heapq.heappop(self._deadlines)[2])
        return due

    def _wake(self) -> None:
        try:
            self._wake_write.send(b"\0", socket.MSG_DONTWAIT)
        except BlockingIOError:
            return  # It has not yet looked at what woke it before.

    def _drain(self) -> None:
        try:
            while self._wake_read.recv(4096):
                pass
        except BlockingIOError:
            return
