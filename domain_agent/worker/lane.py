"""Worker processes of one kind: who is free, who waits, who replaces the dead."""

import threading
from time import monotonic

from domain_agent.worker.child import Child
from domain_agent.worker.limits import PoolSettings
from domain_agent.worker.supervisor import Supervisor
from mesh.errors import AgentNotReady, AgentOverloaded


class Lane:
    """A fixed number of processes; each serves one command at a time."""

    def __init__(self, settings: PoolSettings, size: int, supervisor: Supervisor) -> None:
        self._settings, self._supervisor = settings, supervisor
        self._changed = threading.Condition()
        self._free: list[Child] = []
        self._taken: set[Child] = set()
        self._stale: set[Child] = set()
        self._waiting = 0
        self._failure: AgentNotReady | None = None
        self._closed = False
        # One first, so that it need not share the processor: the rest follow when it is ready.
        self._still_to_start = size - 1
        self._start()

    def await_first(self) -> None:
        """Wait until one process is ready. Raises AgentNotReady where none can be."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._free or self._failure, self._settings.start_seconds
            )
            if not self._free:
                raise self._failure or AgentNotReady("no worker process became ready in time")

    def take(self, plan_key: str | None = None) -> Child:
        """A free process, one that knows the plan if there is any. Raises AgentOverloaded."""
        with self._changed:
            if not self._free:
                self._wait()
            # The latest one first: it has the statement at hand as well.
            known = (child for child in reversed(self._free) if child.knows(plan_key))
            child = next(known, self._free[0])
            self._free.remove(child)
            self._taken.add(child)
            return child

    def give(self, child: Child) -> None:
        """The process has answered all of its command."""
        with self._changed:
            if not self._closed and child not in self._stale:
                self._taken.discard(child)
                # At the end, so that plans spread over the processes.
                self._free.append(child)
                self._changed.notify()
                return
        self.drop(child)
        child.dispose()

    def renew(self) -> None:
        """Replace every process, those at work when they have answered."""
        with self._changed:
            free, self._free = self._free, []
            self._stale |= self._taken
        for child in free:
            child.dispose()
            self._start()

    def drop(self, child: Child) -> None:
        """The process is dead or no longer fit: another starts in its place, once."""
        with self._changed:
            if child not in self._taken:
                return
            self._taken.discard(child)
            self._stale.discard(child)
            if self._closed:
                return
        self._start()

    def close(self) -> None:
        """End every process; commands under way fail."""
        with self._changed:
            self._closed = True
            free, self._free = self._free, []
            for child in self._taken:
                child.kill()
            self._changed.notify_all()
        for child in free:
            child.dispose()

    def _start(self) -> None:
        self._supervisor.start(self._settings, self._ready, self._failed)

    def _wait(self) -> None:
        overloaded = AgentOverloaded("every worker of the agent is busy; try again in a moment")
        if self._waiting >= self._settings.waiting:
            raise overloaded
        self._waiting += 1
        until = monotonic() + self._settings.wait_seconds
        try:
            while not self._free:
                if self._closed or not self._changed.wait(until - monotonic()):
                    raise overloaded
        finally:
            self._waiting -= 1

    def _ready(self, child: Child) -> None:
        with self._changed:
            self._failure = None
            more, self._still_to_start = self._still_to_start, 0
        self.give(child)
        for _ in range(more):
            self._start()

    def _failed(self, failure: AgentNotReady) -> None:
        with self._changed:
            self._failure = failure
            self._changed.notify_all()
