"""An auditor's commands on a real control plane: status, verify, export, prove."""

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli.parquet_form import without_sizes
from mesh.evidence.envelopes import fingerprint
from mesh.evidence.proofs import ProofBroken, read_proof
from tests.unit.cli.terminal import Clock, Run, runner
from tests.unit.control_plane.running import Plane, running
from tests.unit.control_plane.witnessed import BOOKINGS, FLEET, append, change, enrolled, fill, sign
from tests.unit.evidence.logs import Log, log

SCRIPT = Path(__file__).parents[2] / "docs" / "examples" / "verify_proof.py"
RECEIPT = "bookings/bookings-1-7"
EDIT = (
    "UPDATE usage_event SET document = CAST(replace(CAST(document AS TEXT), 'SELECT 7\"',"
    " 'SELECT 8\"') AS BLOB) WHERE domain = 'bookings' AND sequence = 7"
)


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with running(tmp_path / "state") as plane:
        fill(plane)
        yield plane


@pytest.fixture
def mesh(plane: Plane, tmp_path: Path) -> Run:
    """The auditor's command line."""
    token = plane.user("ada", duties=("auditor",)).token
    variables = {"MESH_SERVER": plane.address, "MESH_TOKEN": token}
    return runner(tmp_path, variables, Clock(), plane.clock)


@pytest.fixture
def offline(tmp_path: Path) -> Run:
    """A command line that knows no control plane."""
    return runner(tmp_path, {}, Clock())


@pytest.fixture
def export(mesh: Run, tmp_path: Path) -> Path:
    file = tmp_path / "evidence.jsonl"
    assert mesh("audit", "export", str(file)).code == 0
    return file


def test_status_shows_how_much_of_each_log_is_here(mesh: Run) -> None:
    done = mesh("audit", "status", "-o", "json")
    bookings, fleet = json.loads(done.out)
    assert done.code == 0
    assert (bookings["agent"], bookings["state"], bookings["coverage"]) == (
        "bookings/bookings-1",
        "ok",
        "95.2 %",
    )
    assert (bookings["stored"], bookings["signed"], bookings["verified"]) == (21, 20, 20)
    assert (bookings["missing"], bookings["unfinished_reads"]) == (0, 1)
    assert (fleet["coverage"], fleet["stored"]) == ("100 %", 4)
    assert fleet["key"] == hashlib.sha256(FLEET.public_key).hexdigest()
    assert "bookings/bookings-1" in mesh("audit", "status").out


def test_status_tells_gaps_and_records_that_nobody_signed_for(plane: Plane, mesh: Run) -> None:
    plane.clock.ahead += timedelta(minutes=2)
    done = mesh("audit", "status", "-o", "json")
    bookings, fleet = json.loads(done.out)
    assert done.code == 10
    assert (bookings["state"], fleet["state"]) == ("unsigned", "late")
    assert "ALARM: bookings/bookings-1: not signed for by the agent, at the end: 1." in done.err
    change(plane, "UPDATE log SET witnessed_size = 30 WHERE domain = 'bookings'")
    gap = json.loads(mesh("audit", "status", "-o", "json").out)[0]
    assert (gap["state"], gap["missing"]) == ("gap", 9)


def test_status_of_a_forked_log_is_an_alarm(plane: Plane, mesh: Run) -> None:
    fork = log("lounge/lounge-1", 5, " of the other story", seed=9)
    agent = enrolled(plane, fork)
    append(agent, log("lounge/lounge-1", 5, seed=9), 0, 5)
    sign(agent, fork, 5)
    done = mesh("audit", "status")
    assert done.code == 10
    assert "ALARM: lounge/lounge-1: lounge/lounge-1 signed for 5 records" in done.err


def test_live_logs_fit(mesh: Run) -> None:
    done = mesh("audit", "verify", "-o", "json")
    found = json.loads(done.out)
    assert (done.code, found["verdict"], found["first_bad"], found["records"]) == (
        0,
        "fits",
        None,
        25,
    )
    assert [(one["agent"], one["proven"], one["until"]) for one in found["logs"]] == [
        ("bookings/bookings-1", 20, 21),
        ("fleet/fleet-1", 4, 4),
    ]
    assert found["logs"][0]["key"] == hashlib.sha256(BOOKINGS.public_key).hexdigest()
    narrow = json.loads(mesh("audit", "verify", "--agent", "fleet/fleet-1", "-o", "json").out)
    assert [one["agent"] for one in narrow["logs"]] == ["fleet/fleet-1"]
    table = mesh("audit", "verify", "--domain", "fleet").out
    assert hashlib.sha256(FLEET.public_key).hexdigest() in table


def test_a_record_changed_in_the_database_is_an_alarm_that_names_it(
    plane: Plane, mesh: Run
) -> None:
    change(plane, EDIT)
    done = mesh("audit", "verify")
    assert done.code == 10
    assert "TAMPERED" in done.out
    assert "ALARM: bookings/bookings-1 record 7: what stands here is not" in done.err
    found = json.loads(mesh("audit", "verify", "-o", "json").out)
    assert found["first_bad"] == "bookings/bookings-1 record 7"
    assert [one["verdict"] for one in found["logs"]] == ["TAMPERED", "fits"]


def test_an_export_is_verified_without_a_control_plane(export: Path, offline: Run) -> None:
    lines = export.read_bytes().splitlines()
    assert len(lines) == 1 + 2 + 25
    done = offline("audit", "verify", str(export))
    assert done.code == 0
    assert "the keys that came with the logs" in done.out
    assert lines[2] == BOOKINGS.records[0]


def test_a_tampered_export_is_an_alarm_that_names_the_record(export: Path, offline: Run) -> None:
    export.write_bytes(export.read_bytes().replace(b"SELECT 7", b"SELECT 9"))
    done = offline("audit", "verify", str(export), "-o", "json")
    found = json.loads(done.out)
    assert done.code == 10
    assert (found["first_bad"], found["line"]) == ("bookings/bookings-1 record 7", 9)
    assert found["logs"][1]["verdict"] == "fits"


@pytest.mark.parametrize("content", [b"", b"{}\n", b"\xff\x00", b"PAR1PAR1"])
def test_what_is_no_export_is_no_evidence(content: bytes, offline: Run, tmp_path: Path) -> None:
    file = tmp_path / "odd"
    file.write_bytes(content)
    assert offline("audit", "verify", str(file)).code in (4, 10)


def test_an_export_says_what_it_holds_and_replaces_nothing(
    mesh: Run, export: Path, tmp_path: Path
) -> None:
    assert mesh("audit", "export", str(export)).code == 2
    done = mesh("audit", "export", str(export), "--force", "-o", "json")
    found = json.loads(done.out)
    assert (found["logs"], found["records"], found["hashes"]) == (2, 25, 0)
    assert found["sha256"] == hashlib.sha256(export.read_bytes()).hexdigest()
    assert found["bytes"] == export.stat().st_size
    missing = mesh("audit", "export", str(tmp_path / "none" / "x.jsonl"))
    assert missing.code == 2
    odd = mesh("audit", "export", str(tmp_path / "x"), "--domain", "fleet", "--agent", "a/b")
    assert odd.code == 2
    back = mesh("audit", "export", str(tmp_path / "x"), "--since", "1h", "--until", "2h")
    assert back.code == 2
    unknown = mesh("audit", "export", str(tmp_path / "x"), "--domain", "nobody")
    assert unknown.code == 3
    assert sorted(path.name for path in tmp_path.iterdir()) == ["evidence.jsonl", "state"]


def test_a_window_of_an_export_is_verified_as_well(mesh: Run, offline: Run, tmp_path: Path) -> None:
    file = tmp_path / "window.jsonl"
    done = mesh("audit", "export", str(file), "--since", "2m", "-o", "json")
    found = json.loads(done.out)
    assert (found["records"], found["hashes"]) == (15, 10)
    assert offline("audit", "verify", str(file)).code == 0
    content = file.read_bytes()
    file.write_bytes(content.replace(BOOKINGS.records[14] + b"\n", b""))
    wrong = offline("audit", "verify", str(file))
    assert "bookings/bookings-1 record 15" in wrong.err


def test_a_break_in_the_middle_leaves_no_file(plane: Plane, mesh: Run, tmp_path: Path) -> None:
    change(plane, "DROP TABLE usage_event")
    assert mesh("audit", "export", str(tmp_path / "x.jsonl")).code != 0
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_progress_is_shown_in_a_terminal_alone(mesh: Run, tmp_path: Path) -> None:
    shown = mesh("audit", "export", str(tmp_path / "x.jsonl"), size=(100, 30))
    assert "\x1b[K" in shown.err
    assert "\x1b[K" not in mesh("audit", "verify").err


def test_parquet_holds_the_same_and_is_verified(mesh: Run, offline: Run, tmp_path: Path) -> None:
    file = tmp_path / "evidence.parquet"
    assert mesh("audit", "export", str(file)).code == 0
    table = pq.read_table(file)
    rows = [row for row in table.to_pylist() if row["record"] is not None]
    assert [row["record"] for row in rows] == [*BOOKINGS.records[:21], *FLEET.records]
    assert (rows[0]["statement"], rows[0]["sequence"]) == ("SELECT 1", 1)
    done = offline("audit", "verify", str(file), "-o", "json")
    assert (done.code, json.loads(done.out)["records"]) == (0, 25)
    named = mesh("audit", "export", str(tmp_path / "x"), "--format", "parquet")
    assert named.code == 0
    assert (tmp_path / "x").read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize("column", ["statement", "rows", "record", "leaves", "source"])
def test_a_changed_parquet_file_is_an_alarm(
    column: str, mesh: Run, offline: Run, tmp_path: Path
) -> None:
    file = tmp_path / "evidence.parquet"
    mesh("audit", "export", str(file))
    table = pq.read_table(file)
    at = 0 if column == "leaves" else 7
    values = table.column(column).to_pylist()
    values[at] = {"rows": 77}.get(column) or (
        b"x" if isinstance(values[at], bytes) else "something else"
    )
    field = table.schema.field(column)
    changed = table.set_column(
        table.schema.get_field_index(column), field, pa.array(values, field.type)
    )
    with file.open("w+b") as rewritten:
        pq.write_table(changed, rewritten, use_dictionary=False, write_statistics=False)
        without_sizes(rewritten)
    done = offline("audit", "verify", str(file))
    assert done.code == 10
    record = 1 if column == "leaves" else 7
    assert f"bookings/bookings-1 record {record}" in done.err


def test_trusted_keys_and_heads_are_kept_and_compared(
    plane: Plane, mesh: Run, offline: Run, export: Path, tmp_path: Path
) -> None:
    trust = tmp_path / "trust.json"
    first = mesh("audit", "verify", "--trust", str(trust))
    assert (first.code, trust.exists()) == (0, True)
    kept = json.loads(trust.read_text())
    assert kept["agents"]["fleet/fleet-1"]["key"] == fingerprint(FLEET.public_key)
    assert kept["agents"]["bookings/bookings-1"]["checkpoint"] == BOOKINGS.note(20)
    for command in (mesh("audit", "verify"), offline("audit", "verify", str(export))):
        assert command.code == 0
    again = offline("audit", "verify", str(export), "--trust", str(trust))
    assert again.code == 0
    assert f"the keys in {trust}" in again.out

    change(
        plane,
        "DELETE FROM usage_event WHERE domain = 'bookings' AND sequence > 10",
        "DELETE FROM log_checkpoint WHERE domain = 'bookings' AND size > 10",
        "UPDATE log SET size = 10, verified_size = 10, witnessed_size = 10, nodes = (SELECT"
        f" X'{b''.join(BOOKINGS.frontier(10).nodes).hex()}') WHERE domain = 'bookings'",
    )
    assert mesh("audit", "verify").code == 0
    cut = mesh("audit", "verify", "--trust", str(trust))
    assert cut.code == 10
    assert "one of the records 11 to 20: the agent signed for 20 records" in cut.err
    assert json.loads(trust.read_text()) == kept


def test_other_keys_than_the_trusted_ones_are_an_alarm(
    export: Path, offline: Run, tmp_path: Path
) -> None:
    trust = tmp_path / "trust.json"
    trust.write_text(
        json.dumps({"agents": {"bookings/bookings-1": {"key": fingerprint(FLEET.public_key)}}})
    )
    done = offline("audit", "verify", str(export), "--trust", str(trust))
    assert done.code == 10
    assert "ALARM: bookings/bookings-1: it is signed with" in done.err
    trust.write_text(json.dumps({"control_plane": fingerprint(FLEET.public_key)}))
    assert offline("audit", "verify", str(export), "--trust", str(trust)).code == 10


def head(one: Log) -> dict[str, str]:
    """A key beside a checkpoint of the log of bookings."""
    return {"key": fingerprint(one.public_key), "checkpoint": BOOKINGS.note(21)}


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[]",
        '{"control_plane": "00"}',
        '{"agents": {"a/b": {}}}',
        '{"agents": {"a/b": {"key": 7}}}',
        json.dumps({"agents": {"a/b": head(BOOKINGS)}}),
    ],
)
def test_a_file_of_odd_trust_is_refused(
    content: str, export: Path, offline: Run, tmp_path: Path
) -> None:
    trust = tmp_path / "trust.json"
    trust.write_text(content)
    done = offline("audit", "verify", str(export), "--trust", str(trust))
    assert done.code == 2
    assert "can't be used as trusted keys" in done.err


def test_an_export_is_verified_whole(export: Path, offline: Run) -> None:
    assert offline("audit", "verify", str(export), "--domain", "fleet").code == 2


def script(file: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", str(SCRIPT), str(file), *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_a_proof_is_verified_by_the_standalone_script(mesh: Run, tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    done = mesh("audit", "prove", RECEIPT, "--out", str(file))
    assert done.code == 0
    assert "records 7, 8 are among the first 10" in done.err
    assert "Not proven: that the receipt has no other records." in done.err
    assert mesh("audit", "prove", RECEIPT, "--agent", BOOKINGS.name).out == file.read_text()
    key = hashlib.sha256(BOOKINGS.public_key).hexdigest()
    for arguments in ((), (key,)):
        proven = script(file, *arguments)
        assert proven.returncode == 0, proven.stderr
        assert "record 7 (io.meshwarden.read.started.v1) was in meshwarden/agents" in proven.stdout
        assert proven.stdout.endswith("not proven: that the receipt has no other records\n")
        assert key in proven.stdout
    other = script(file, hashlib.sha256(FLEET.public_key).hexdigest())
    assert (other.returncode, other.stderr) == (1, "NOT PROVEN: another key signed it\n")
    assert len([line for line in SCRIPT.read_text().splitlines() if line.strip()]) < 40


def test_a_changed_proof_proves_nothing(mesh: Run, tmp_path: Path) -> None:
    text = mesh("audit", "prove", RECEIPT).out
    proof = json.loads(text)
    read_proof(text).check()
    note, key = proof["checkpoint"], proof["public_key"]
    one, two = proof["records"]

    def first(**changes: object) -> dict[str, object]:
        return {**proof, "records": [{**one, **changes}, two]}

    other_root = note.replace(note.splitlines()[2], BOOKINGS.note(9).splitlines()[2])
    changes: dict[str, dict[str, object]] = {
        "statement": first(record=one["record"].replace("SELECT 7", "SELECT 8")),
        "sequence": first(sequence=8),
        "far": first(sequence=700),
        "negative": first(sequence=0),
        "path": first(path=one["path"][::-1]),
        "shorter": first(path=one["path"][:-1]),
        "longer": first(path=[*one["path"], one["path"][0]]),
        "other record": first(record=two["record"]),
        "size": {**proof, "checkpoint": note.replace("\n10\n", "\n11\n")},
        "root": {**proof, "checkpoint": other_root},
        "note": {**proof, "checkpoint": BOOKINGS.note(9)},
        "key": {**proof, "public_key": key[::-1]},
        "receipt": {**proof, "receipt": "another"},
        "nothing": {**proof, "records": []},
        "twice": {**proof, "records": [one, one, two]},
        "order": {**proof, "records": [two, one]},
    }
    for name, changed in changes.items():
        file = tmp_path / "proof.json"
        file.write_text(json.dumps(changed))
        assert script(file).returncode == 1, name
        with pytest.raises(ProofBroken):
            read_proof(file.read_text()).check()


def test_a_receipt_whose_record_was_changed_is_not_proven(plane: Plane, mesh: Run) -> None:
    change(plane, EDIT)
    done = mesh("audit", "prove", RECEIPT)
    assert (done.code, done.out) == (10, "")
    assert f"ALARM: receipt {RECEIPT} can't be proven" in done.err


def test_a_receipt_that_nobody_signed_for_yet_can_be_proven_later(mesh: Run) -> None:
    done = mesh("audit", "prove", "bookings/bookings-1-21")
    assert done.code == 5
    assert "evidence.unsigned" in done.err
    assert mesh("audit", "prove", "none").code == 3
