"""What the airline's mesh stands on: files of its own, or a broker and a database beside it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from examples.airline import broker, postgres
from examples.airline.broker import Broker
from examples.airline.postgres import Postgres
from examples.airline.processes import Mesh, ProcessFailed

SWITCH = "KAFKA"


@dataclass(frozen=True, slots=True)
class Backing:
    """A mesh, and what it runs over in words."""

    mesh: Mesh
    words: str


@contextmanager
def backed_mesh(folder: Path, environment: Mapping[str, str]) -> Iterator[Backing]:
    """A mesh in a folder; with KAFKA=1 over a real broker and PostgreSQL, ended with it.

    Raises ProcessFailed when a part is missing.
    """
    if environment.get(SWITCH, "") in ("", "0"):
        with Mesh(folder) as mesh:
            yield Backing(mesh, "SQLite, and evidence straight to the control plane")
        return
    missing = broker.missing_parts() or postgres.missing_parts()
    if missing:
        raise ProcessFailed(missing)
    (folder / "kafka").mkdir()
    with Postgres() as server, Broker(folder / "kafka") as kafka:
        database = server.url(server.create())
        with Mesh(folder, kafka=kafka.address, database=database) as mesh:
            yield Backing(mesh, "PostgreSQL 16, and evidence over a Kafka broker")
