"""Two control planes on one PostgreSQL: one is killed, and nothing acknowledged is lost."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from examples.airline.processes import CONTRACTS, DATA, Mesh, ProcessFailed, Service
from tests.e2e.town import PASSENGERS, PURPOSE, agree, published, reader, rows, wait_until

ONE = f"{PASSENGERS} LIMIT 1"


@dataclass(slots=True)
class ReplicatedMesh(Mesh):
    """A mesh whose agents and commands know two control planes on one database."""

    database: str = ""
    replicas: dict[str, Service] = field(default_factory=dict)

    def __exit__(self, *error: object) -> None:
        Mesh.__exit__(self, None, None, None)
        for service in self.replicas.values():
            service.stop()

    @property
    def server(self) -> str:
        """Where the control planes listen, the first one first."""
        return ",".join(replica.ready for replica in self.replicas.values())

    def start_replica(self, name: str, listen: str = "127.0.0.1:0") -> None:
        """Start a control plane with a state folder of its own, and the shared keys."""
        config = self.folder / f"{name}.yaml"
        settings = {
            "listen": listen,
            "state": str(self.folder / name),
            "keys": str(self.folder / "keys"),
            "database": self.database,
            "leases": dict(self.leases),
        }
        config.write_text(yaml.safe_dump(settings))
        service = self._spawn(name, ("control_plane", "--config", str(config)))
        service.wait_ready("listening on ")
        self.replicas[name] = service


@pytest.fixture
def mesh(tmp_path: Path, empty_postgres: str) -> Iterator[ReplicatedMesh]:
    """Two replicas and the agent of bookings, which reaches the first one."""
    with ReplicatedMesh(tmp_path, database=empty_postgres) as mesh:
        # Where tokens of the administrator are looked for.
        mesh.start_replica("control-plane")
        mesh.start_replica("second")
        for purpose in (PURPOSE, "customer-care", "delay-analysis", "revenue-reporting"):
            mesh.mesh(mesh.admin, "purpose", "add", purpose, purpose.title())
        mesh.start_agent("bookings", DATA / "bookings", CONTRACTS / "bookings")
        published(mesh, "bookings.reservations")
        yield mesh


def add_purposes(
    mesh: Mesh, token: str, writer: int, added: list[str], stop: threading.Event
) -> None:
    """Register purposes until told to stop; what was acknowledged goes into `added`."""
    for number in range(1_000):
        if stop.is_set():
            return
        name = f"burst-{writer}-{number}"
        try:
            mesh.mesh(token, "purpose", "add", name, "one of many")
        except ProcessFailed:
            continue
        added.append(name)


def test_killing_one_control_plane_loses_nothing_and_all_goes_on(mesh: ReplicatedMesh) -> None:
    admin = mesh.admin
    ana, olga = mesh.token("ana"), mesh.token("olga", duties=["owner:bookings"])
    agreement = agree(mesh, ana, olga)
    asks = reader(mesh, ana, "bookings")
    assert asks.read(ONE).num_rows == 1

    added: list[list[str]] = [[], []]
    stop = threading.Event()
    writers = [
        threading.Thread(target=add_purposes, args=(mesh, admin, number, names, stop))
        for number, names in enumerate(added)
    ]
    for writer in writers:
        writer.start()
    wait_until(lambda: all(len(names) >= 2 for names in added), "the burst runs", 60)
    first = mesh.replicas["control-plane"]
    first.process.kill()
    first.stop()
    before = [len(names) for names in added]
    wait_until(
        lambda: all(len(names) >= old + 2 for names, old in zip(added, before, strict=True)),
        "the burst goes on at the other control plane",
        60,
    )
    stop.set()
    for writer in writers:
        writer.join()

    there = {row["id"] for row in rows(mesh, admin, "purpose", "list")}
    assert {name for names in added for name in names} <= there

    def connected() -> bool:
        (agent,) = rows(mesh, admin, "agent", "list")
        return bool(agent["connected"])

    wait_until(connected, "the agent has moved to the other control plane")
    assert asks.read(ONE).num_rows == 1
    mesh.mesh(olga, "access", "revoke", agreement, "--note", "enough")
    wait_until(lambda: "revoked" in asks.refusal(ONE), "the revocation reaches the agent")

    def recorded() -> bool:
        reads = rows(mesh, admin, "audit", "list", "--kind", "read", "--limit", "500")
        return sum(row["action"] == "read.completed" for row in reads) >= 2

    wait_until(recorded, "evidence arrives at the other control plane")
    mesh.start_replica("control-plane", first.ready)
    mesh.replicas.pop("second").stop()
    assert {row["id"] for row in rows(mesh, admin, "purpose", "list")} >= there


def test_a_control_plane_with_other_keys_does_not_start(mesh: ReplicatedMesh) -> None:
    config = mesh.folder / "stranger.yaml"
    config.write_text(
        yaml.safe_dump(
            {
                "listen": "127.0.0.1:0",
                "state": str(mesh.folder / "stranger"),
                "database": mesh.database,
            }
        )
    )
    done = subprocess.run(
        [sys.executable, "-m", "control_plane", "--config", str(config)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 2
    assert "same key files" in done.stderr
    assert "Traceback" not in done.stderr
