"""How long the agent may act without hearing from the control plane."""

import threading
from datetime import datetime, timedelta
from pathlib import Path

from domain_agent.clock import Clock
from domain_agent.spool.files import Files
from mesh.errors import AgentLeaseExpired
from mesh.times import parse_rfc3339, rfc3339_micros


class Lease:
    """Runs from the control plane's signed issue time; setting the clock can't lengthen it.

    The agent's own time is the latest of wall clock, the time last kept on disk and every signed
    issue time, and moves on with the monotonic clock: setting the wall clock back, also across a
    restart, never lengthens a lease.
    """

    def __init__(self, clock: Clock, kept: Path, files: Files) -> None:
        self._clock, self._kept, self._files = clock, kept, files
        self._lock = threading.Lock()
        last = parse_rfc3339(kept.read_text()) if kept.exists() else clock.now()
        self._base, self._base_elapsed = max(clock.now(), last), clock.elapsed()
        self._issued: datetime | None = None
        self._length = timedelta(0)

    def renew(self, issued: datetime, length: timedelta) -> None:
        """Take a signed renewal; one issued before the newest taken changes nothing."""
        with self._lock:
            if self._issued is not None and issued < self._issued:
                return
            self._issued, self._length = issued, length
            if issued > self._time():
                self._base, self._base_elapsed = issued, self._clock.elapsed()

    def keep_time(self) -> None:
        """Write the agent's time to disk. Raises OSError."""
        with self._lock:
            self._files.replace(self._kept, rfc3339_micros(self._time()).encode())

    @property
    def expires(self) -> datetime | None:
        """When it ends in the agent's time; None before the first renewal."""
        with self._lock:
            return None if self._issued is None else self._issued + self._length

    @property
    def length(self) -> timedelta:
        """How long the newest renewal is for."""
        return self._length

    def require(self) -> None:
        """Raise AgentLeaseExpired unless the lease runs."""
        with self._lock:
            if self._issued is None or self._time() >= self._issued + self._length:
                raise AgentLeaseExpired(
                    "the agent has not heard from the control plane for longer than its lease of "
                    f"{self._length}; it serves again when the control plane is back"
                )

    def _time(self) -> datetime:
        return self._base + timedelta(seconds=self._clock.elapsed() - self._base_elapsed)
