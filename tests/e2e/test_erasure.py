"""A person's evidence through real processes: sealed at once, unreadable after an erasure."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.airline.processes import Mesh
from tests.e2e.town import PASSENGERS, Town, agree, reader, rows, start_town, wait_until

NAME = "ana.unmistakable"


@pytest.fixture
def own_town(tmp_path: Path) -> Iterator[Town]:
    with Mesh(tmp_path) as mesh:
        yield start_town(mesh, ("bookings",))


def spool(town: Town) -> bytes:
    folder = town.mesh.folder / "bookings" / "state" / "spool"
    return b"".join(path.read_bytes() for path in sorted(folder.glob("*.log")))


def keys(town: Town) -> list[str]:
    folder = town.mesh.folder / "bookings" / "state" / "principals"
    return [path.name for path in folder.glob("*.json") if NAME in path.read_text()]


def why(town: Town, receipt: str) -> dict[str, object]:
    told: dict[str, object] = json.loads(
        town.mesh.mesh(town.ada, "why", receipt, "-o", "json").stdout
    )
    return told


def test_erasing_a_person_leaves_the_log_and_no_name(own_town: Town) -> None:
    town, mesh = own_town, own_town.mesh
    person = mesh.token(NAME)
    agreement = agree(mesh, person, town.olga)
    reader(mesh, person, "bookings").read(f"{PASSENGERS} LIMIT 3")
    mine = ("--who", f"user:{NAME}", "--kind", "read")
    wait_until(lambda: bool(town.entries(*mine)), "the read is in the audit")
    receipt = str(town.entries(*mine)[0]["reference"])
    assert why(town, receipt)["who"] == f"user:{NAME}"
    before = spool(town)
    assert keys(town)
    assert NAME.encode() not in before

    request = ("erasure", "request", f"user:{NAME}", "--reason", "request 17", "--yes")
    refused = mesh.mesh(mesh.admin, *request, expect=5)
    assert "end them first" in refused.stderr
    mesh.mesh(town.olga, "access", "revoke", agreement)
    mesh.mesh(mesh.admin, *request)
    wait_until(
        lambda: rows(mesh, mesh.admin, "erasure", "list")[0]["completed"] is not None,
        "the agent has destroyed its keys",
    )

    assert not keys(town)
    assert spool(town).startswith(before)
    told = why(town, receipt)
    assert (told["who"], told["state"]) == (None, "completed")
    assert not town.entries(*mine)
    assert "erased" in {entry["actor"] for entry in town.entries("--kind", "read")}
    left = [
        path
        for path in (mesh.folder / "control-plane").rglob("*")
        if path.is_file() and NAME.encode() in path.read_bytes()
    ]
    assert left == []
