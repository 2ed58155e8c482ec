"""`mesh audit verify FILE` of files that somebody else made: what it learns, shows and bears."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from cli.whole_files import written_whole
from mesh import errors
from mesh.evidence.envelopes import MAX_LINE, fingerprint
from mesh.evidence.manifests import Selection, manifest_line, read_manifest
from mesh.v1 import logs_pb2
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import Clock, Run, runner
from tests.unit.evidence.logs import BASE, CONTROL, CONTROL_KEY, Log, Shape, export, log, stretch

BOOKINGS = log("bookings/bookings-1", 12)
FLEET = log("fleet/fleet-1", 9, seed=8)
SHAPE = Shape(piece=5, sizes=(4, 10))


@pytest.fixture
def mesh(tmp_path: Path) -> Run:
    return runner(tmp_path, {}, Clock())


@pytest.fixture
def trust(tmp_path: Path) -> Path:
    """A file that knows the key of one agent."""
    file = tmp_path / "trust.json"
    file.write_text(json.dumps({"agents": {BOOKINGS.name: {"key": key(BOOKINGS)}}}))
    return file


def key(one: Log) -> str:
    return fingerprint(one.public_key)


def written(folder: Path, lines: list[bytes]) -> str:
    file = folder / "evidence.jsonl"
    file.write_bytes(b"".join(lines))
    return str(file)


def test_a_file_teaches_no_key_to_who_knows_some(mesh: Run, trust: Path, tmp_path: Path) -> None:
    file = written(tmp_path, export([BOOKINGS, FLEET], SHAPE))
    done = mesh("audit", "verify", file, "--trust", str(trust))
    assert done.code == 0
    kept = json.loads(trust.read_text())
    assert kept == {"agents": {BOOKINGS.name: {"key": key(BOOKINGS), "checkpoint": head(12)}}}
    assert "Learnt that bookings/bookings-1 signed for 12 records." in done.err
    assert "Not learnt: the keys of fleet/fleet-1, the control plane" in done.err.replace("\n ", "")


def head(size: int) -> str:
    return BOOKINGS.note(size)


def test_a_file_of_a_control_plane_that_is_known_teaches_keys(
    mesh: Run, trust: Path, tmp_path: Path
) -> None:
    trust.write_text(json.dumps({"control_plane": fingerprint(CONTROL_KEY)}))
    file = written(tmp_path, export([BOOKINGS], SHAPE))
    done = mesh("audit", "verify", file, "--trust", str(trust))
    assert f"Learnt the key of {BOOKINGS.name}: {key(BOOKINGS)}" in done.err.replace("\n ", "")
    assert json.loads(trust.read_text())["agents"][BOOKINGS.name]["key"] == key(BOOKINGS)


def test_a_new_file_of_trust_is_made_of_what_is_found_and_says_so(
    mesh: Run, tmp_path: Path
) -> None:
    file, made = written(tmp_path, export([BOOKINGS], SHAPE)), tmp_path / "new.json"
    done = mesh("audit", "verify", file, "--trust", str(made))
    said = done.err.replace("\n ", "")
    assert f"Learnt the key of the control plane: {fingerprint(CONTROL_KEY)}" in said
    assert f"Learnt the key of {BOOKINGS.name}: {key(BOOKINGS)}" in said
    assert json.loads(made.read_text())["control_plane"] == fingerprint(CONTROL_KEY)


def test_a_shorter_log_in_a_file_is_an_alarm(mesh: Run, trust: Path, tmp_path: Path) -> None:
    mesh("audit", "verify", written(tmp_path, export([BOOKINGS], SHAPE)), "--trust", str(trust))
    shorter = replace(BOOKINGS, records=BOOKINGS.records[:8])
    file = written(tmp_path, export([shorter], SHAPE))
    done = mesh("audit", "verify", file, "--trust", str(trust))
    assert done.code == 10
    assert "the agent signed for 12 records, and only 8 are left" in done.err


def test_what_a_window_leaves_out_is_told(mesh: Run, tmp_path: Path) -> None:
    since = Selection(domain="bookings", since=BASE)
    file = written(tmp_path, export([BOOKINGS], Shape(whole_from=5), selection=since))
    done = mesh("audit", "verify", file)
    assert "whole 7 of 12, of the rest the hashes alone" in done.out.replace("\n ", "")
    assert "domain bookings, arrived since 2026-11-25T08:00:00Z" in done.out
    found = json.loads(mesh("audit", "verify", file, "-o", "json").out)
    assert (found["records"], found["left_out"], found["logs"][0]["left_out"]) == (7, 5, 5)


def test_an_answer_about_other_records_than_were_asked_for_is_an_alarm(
    control: ControlPlane, run: Run, tmp_path: Path
) -> None:
    trust = tmp_path / "trust.json"
    trust.write_text(json.dumps({"agents": {BOOKINGS.name: {"key": key(BOOKINGS)}}}))
    narrowed = Selection(domain="bookings", before=BASE)
    line, *_ = export([], selection=narrowed)
    control.answers["SignManifest"] = logs_pb2.SignManifestResponse(manifest=line.strip())
    done = run("audit", "verify", "--trust", str(trust))
    assert done.code == errors.DIFFERENT_EXIT_CODE
    assert "answers for another selection" in done.err.replace("\n ", "")
    line, *_ = export([], selection=Selection(domain="bookings"))
    control.answers["SignManifest"] = logs_pb2.SignManifestResponse(manifest=line.strip())
    assert run("audit", "verify", "--domain", "bookings").code == 0


ODD = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e"


@pytest.mark.parametrize("form", ["table", "json", "csv", "yaml"])
@pytest.mark.parametrize("fits", [True, False])
def test_what_a_file_says_controls_no_terminal(
    mesh: Run, tmp_path: Path, form: str, fits: bool
) -> None:
    odd = replace(stretch(BOOKINGS, SHAPE), problem=ODD)
    notes = replace(stretch(BOOKINGS, SHAPE), checkpoints=(ODD,), problem=ODD)
    lines = export([BOOKINGS], SHAPE, [odd if fits else notes])
    done = mesh("audit", "verify", written(tmp_path, lines), "-o", form)
    assert done.code == (0 if fits else 10)
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & {*done.out, *done.err}
    assert "\\x1b" in done.out


def test_an_alarm_controls_no_terminal(mesh: Run, tmp_path: Path) -> None:
    manifest = read_manifest(export([BOOKINGS], SHAPE)[0][:-1])
    named = replace(manifest.stretches[0], domain="\x1b[2Jx")
    line = manifest_line(replace(manifest, stretches=(named,)), CONTROL.sign)
    done = mesh("audit", "verify", written(tmp_path, [line + b"\n"]))
    assert done.code == 10
    assert "\x1b" not in done.out + done.err


@pytest.mark.parametrize("place", [0, 1, 2, -1])
def test_a_line_without_an_end_is_an_alarm_and_never_in_memory(
    mesh: Run, tmp_path: Path, place: int
) -> None:
    lines = export([BOOKINGS], SHAPE)
    file = tmp_path / "long.jsonl"
    with file.open("wb") as writing:
        writing.write(b"".join(lines[:place]))
        writing.truncate(writing.tell() + 1024 * MAX_LINE)
    assert mesh("audit", "verify", str(file)).code == 10


def test_the_last_byte_is_an_end_of_line(mesh: Run, tmp_path: Path) -> None:
    lines = export([BOOKINGS], SHAPE)
    for end in (b"", b"\r", b"}"):
        file = written(tmp_path, [*lines[:-1], lines[-1][:-1] + end])
        assert mesh("audit", "verify", file).code == 10


def test_what_is_written_whole_follows_no_planted_link(tmp_path: Path) -> None:
    precious, file = tmp_path / "precious", tmp_path / "export.jsonl"
    precious.write_text("mine")
    for name in (".export.jsonl.partial", "export.jsonl.new", "export.jsonl"):
        (tmp_path / name).symlink_to(precious)
    with written_whole(file) as writing:
        writing.write(b"evidence")
    assert (precious.read_text(), file.read_bytes()) == ("mine", b"evidence")
    assert not file.is_symlink()
    assert len(list(tmp_path.iterdir())) == 4


def test_what_breaks_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "export.jsonl"
    file.write_bytes(b"before")

    def broken() -> None:
        with written_whole(file) as writing:
            writing.write(b"half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        broken()
    assert [(one.name, one.read_bytes()) for one in tmp_path.iterdir()] == [
        ("export.jsonl", b"before")
    ]
