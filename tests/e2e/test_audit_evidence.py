"""An auditor who takes nobody's word, on real processes: export, proof, tampering, a fork."""

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

from examples.airline.processes import CONTRACTS, DATA, Mesh
from mesh.evidence.envelopes import fingerprint, is_envelope
from tests.e2e.town import PASSENGERS, Town, reader, rows, start_town, wait_until

ONE = f"{PASSENGERS} LIMIT 1"
SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "verify_proof.py"


def covered(town: Town, records: int) -> bool:
    """Whether all of the log of bookings is here and signed for."""
    logs = {row["agent"]: row for row in rows(town.mesh, town.ada, "audit", "status")}
    log = logs["bookings/bookings-1"]
    return log["stored"] == log["verified"] and int(str(log["stored"])) >= records


def read(town: Town, times: int) -> None:
    """Ana reads, each time for three events at most: a key, a start and an end."""
    ana = reader(town.mesh, town.ana, "bookings")
    for _ in range(times):
        ana.read(ONE)


def agent_key(mesh: Mesh) -> str:
    """The fingerprint of the agent's key, found on its own machine without us."""
    key = mesh.folder / "bookings" / "state" / "agent.key"
    public = subprocess.run(
        ["openssl", "pkey", "-in", str(key), "-pubout", "-outform", "DER"],
        capture_output=True,
        check=True,
    ).stdout
    return fingerprint(public[-32:])


def test_evidence_is_exported_proven_and_verified_with_keys_of_ones_own(own_mesh: Mesh) -> None:
    town = start_town(own_mesh, ("bookings",))
    read(town, 4)
    wait_until(lambda: covered(town, 9), "everything is signed for")
    trust, file = own_mesh.folder / "trust.json", own_mesh.folder / "evidence.jsonl"
    key = agent_key(own_mesh)
    trust.write_text(json.dumps({"agents": {"bookings/bookings-1": {"key": key}}}))
    own_mesh.mesh(town.ada, "audit", "export", str(file))
    for command in ([], [str(file)]):
        told = own_mesh.mesh(town.ada, "audit", "verify", *command, "--trust", str(trust)).stdout
        assert f"the keys in {trust}" in told
        assert key in told

    receipt = str(town.entries("--kind", "read")[0]["reference"])
    proof = own_mesh.folder / "proof.json"
    own_mesh.mesh(town.ada, "audit", "prove", receipt, "--out", str(proof))
    proven = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(proof), key],
        capture_output=True,
        text=True,
        check=True,
    )
    assert proven.stdout.count("was in meshwarden/agents/bookings/bookings-1") == 2

    lines = file.read_bytes().splitlines(keepends=True)
    wanted = [at for at, line in enumerate(lines) if b".read.started.v1" in line][2]
    sequence = json.loads(lines[wanted])["sequence"]
    assert not is_envelope(lines[wanted])
    file.write_bytes(b"".join([*lines[:wanted], *lines[wanted + 1 :]]))
    cut = own_mesh.mesh(town.ada, "audit", "verify", str(file), expect=10)
    assert f"ALARM: bookings/bookings-1 record {sequence}: " in cut.stderr

    database = own_mesh.folder / "control-plane" / "control.db"
    with sqlite3.connect(database) as connection:
        changed = connection.execute(
            "UPDATE usage_event SET document = CAST(replace(CAST(document AS TEXT),"
            " 'crew-planning', 'crew-holidays') AS BLOB) WHERE sequence = ?",
            (sequence,),
        )
        assert changed.rowcount == 1
    connection.close()
    edited = own_mesh.mesh(town.ada, "audit", "verify", expect=10)
    assert f"ALARM: bookings/bookings-1 record {sequence}: " in edited.stderr


def test_an_agent_restored_from_a_copy_is_found_to_have_forked_its_log(own_mesh: Mesh) -> None:
    town = start_town(own_mesh, ("bookings",))
    state, copy = own_mesh.folder / "bookings" / "state", own_mesh.folder / "copy"

    def restart(restored: bool) -> None:
        own_mesh.agents.pop("bookings").stop()
        if restored:
            shutil.rmtree(state)
            shutil.copytree(copy, state)
        else:
            shutil.copytree(state, copy)
        own_mesh.start_agent("bookings", DATA / "bookings", CONTRACTS / "bookings")

    read(town, 2)
    wait_until(lambda: covered(town, 5), "everything is signed for")
    restart(restored=False)
    read(town, 2)
    wait_until(lambda: covered(town, 9), "everything is signed for")
    restart(restored=True)
    read(town, 2)

    def forked() -> bool:
        return any(row["action"] == "evidence.forked" for row in town.entries())

    wait_until(forked, "the fork is told")
    status = own_mesh.mesh(town.ada, "audit", "status", expect=10)
    assert "ALARM: bookings/bookings-1: bookings/bookings-1 signed" in status.stderr
    verified = own_mesh.mesh(town.ada, "audit", "verify", expect=10)
    assert "ALARM: bookings/bookings-1 one of the records" in verified.stderr
