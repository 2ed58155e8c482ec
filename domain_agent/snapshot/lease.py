"""How long the agent may act without hearing from the control plane."""

import threading
from datetime import datetime, timedelta
from pathlib import Path

from domain_agent.clock import Clock
from domain_agent.spool.files import Files
from mesh.contracts.values import Classification
from mesh.errors import AgentLeaseExpired
from mesh.leases import NO_LEASES, Leases
from mesh.times import parse_rfc3339, rfc3339, rfc3339_micros


class Lease:
    """One for each classification, from the control plane's signed issue time.

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
        self._leases = NO_LEASES

    def renew(self, issued: datetime, leases: Leases) -> None:
        """Take a signed renewal; one issued before the newest taken changes nothing."""
        with self._lock:
            if self._issued is not None and issued < self._issued:
                return
            self._issued, self._leases = issued, leases
            if issued > self._time():
                self._base, self._base_elapsed = issued, self._clock.elapsed()

    def keep_time(self) -> None:
        """Write the agent's time to disk. Raises OSError."""
        with self._lock:
            self._files.replace(self._kept, rfc3339_micros(self._time()).encode())

    def remaining(self, classification: Classification) -> timedelta:
        """How long data of that class may still be served. Raises AgentLeaseExpired at its end."""
        with self._lock:
            if self._issued is None:
                raise AgentLeaseExpired(
                    "the agent has no lease: it has not heard from the control plane yet",
                    classification=classification.value,
                )
            end = self._issued + self._leases[classification]
            left = end - self._time()
        if left <= timedelta():
            raise AgentLeaseExpired(
                "the agent has not heard from the control plane for longer than its lease for "
                f"{classification} data, which ended at {rfc3339(end)}; it serves that again when "
                "the control plane is back",
                classification=classification.value,
                since=rfc3339(end),
            )
        return left

    def _time(self) -> datetime:
        return self._base + timedelta(seconds=self._clock.elapsed() - self._base_elapsed)
