"""A stage whose agent has a short lease, and reaches its control plane through a proxy."""

import re
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import yaml

from examples.airline.processes import Service
from mesh.wire.status import from_rpc_error
from tests.e2e.town import PASSENGERS, wait_until
from tests.faults.proxy import Proxy, proxied
from tests.faults.stage import AGENT, DOMAIN, Stage, staged
from tests.unit.flight import wire

_ENFORCING = re.compile(r"enforcing revision (\d+)")
_RECONNECT = (("grpc.max_reconnect_backoff_ms", 300), ("grpc.initial_reconnect_backoff_ms", 100))


@dataclass(slots=True)
class Plane:
    """The control plane of a stage: killed, frozen, and started where it was."""

    stage: Stage
    proxy: Proxy
    address: str
    leases: Mapping[str, float]
    database: Path = field(init=False)

    def __post_init__(self) -> None:
        self.database = next((self.stage.mesh.folder / "control-plane").glob("*.db"))

    @property
    def lease(self) -> float:
        """The shortest, in seconds."""
        return min(self.leases.values())

    @property
    def service(self) -> Service:
        """Its process."""
        assert self.stage.mesh.control is not None
        return self.stage.mesh.control

    def kill(self) -> None:
        """SIGKILL."""
        self.service.process.kill()
        self.service.stop()

    def start(self) -> None:
        """At the address that agents and commands know."""
        self.stage.mesh.start_control_plane(self.address)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """SIGSTOP, until the block ends."""
        self.service.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.service.process.send_signal(signal.SIGCONT)

    def keys(self) -> set[str]:
        """The ids of the principals' keys that the agent has delivered."""
        found = self._rows("SELECT id FROM principal_key WHERE domain = ? AND agent = ?")
        return {str(row[0]) for row in found}

    def witnessed(self) -> int:
        """The size of the largest head of the agent that it keeps as witness."""
        rows = self._rows("SELECT max(size) FROM log_checkpoint WHERE domain = ? AND agent = ?")
        return int(str(rows[0][0] or 0))

    def _rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as database:
            return database.execute(query, (DOMAIN, AGENT)).fetchall()


@dataclass(slots=True)
class Asking:
    """Somebody who asks the agent once, and is told rows or a reason."""

    uri: str
    token: str
    statement: str = f"{PASSENGERS} LIMIT 1"

    def once(self, revision: int = 0) -> str:
        """`served`, or the reason id of the refusal; decided by a revision or a later one."""
        least = (("x-mesh-revision", str(revision)),) if revision else ()
        metadata = (
            ("authorization", f"Bearer {self.token}"),
            ("x-mesh-purpose", "crew-planning"),
            *least,
        )
        with grpc.insecure_channel(self.uri.partition("://")[2]) as channel:
            try:
                for _ in wire.stream(channel, metadata, self.statement):
                    pass
            except grpc.RpcError as error:
                return from_rpc_error(error, "the agent").reason_id
        return "served"

    def until(self, answer: str, seconds: float = 60.0) -> float:
        """Ask until that is the answer; how long it took."""
        began = time.monotonic()
        wait_until(lambda: self.once() == answer, f"the answer is {answer}", seconds)
        return time.monotonic() - began


@contextmanager
def short_leased(folder: Path, leases: Mapping[str, float]) -> Iterator[Plane]:
    """The stage, with its control plane started anew; the agent is stopped."""
    with staged(folder) as stage, proxied() as proxy:
        stage.channel.close()
        mesh = stage.mesh
        address = proxy.target = mesh.server
        assert mesh.control is not None
        mesh.control.stop()
        mesh.leases = leases
        mesh.start_control_plane(address)
        config = mesh.folder / DOMAIN / "agent.yaml"
        settings = yaml.safe_load(config.read_text())
        config.write_text(yaml.safe_dump({**settings, "control_plane": proxy.address}))
        with grpc.insecure_channel(address, _RECONNECT) as channel:
            stage.channel = channel
            yield Plane(stage, proxy, address, leases)


def insist(call: Callable[[], object], seconds: float = 60.0) -> None:
    """Call until it is answered; a control plane that comes back needs a moment."""

    def answered() -> bool:
        with suppress(grpc.RpcError):
            call()
            return True
        return False

    wait_until(answered, "the control plane answers", seconds)


def enforced_revisions(stage: Stage) -> list[int]:
    """The revisions that the agent has put in force, as its log tells, across its restarts."""
    log = (stage.mesh.folder / f"{AGENT}.log").read_text()
    return [int(found) for found in _ENFORCING.findall(log)]
