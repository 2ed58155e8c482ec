"""Hostile modules are refused in bounded time: nothing hangs, crashes or is read elsewhere."""

import os
import socket
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.decisions.bounded import lint_bounded
from mesh.decisions.checks import Outcome
from mesh.decisions.folders import read_folder
from mesh.decisions.lint import lint
from mesh.decisions.metadata import sentences
from mesh.decisions.modules import code, without_comments
from mesh.decisions.opa_program import Opa
from mesh.decisions.sizes import MAX_BYTES, MAX_MODULE_BYTES, MAX_MODULES, read_texts
from mesh.errors import PolicyError, PolicyInvalid
from tests.unit.decisions.layers import HEAD, PROGRAM, TESTS, by_name, checked, modules

QUICK = Opa(PROGRAM, cpu_seconds=1)
HOSTILE = {
    "deep lists": "b := " + "[" * 20_000 + "]" * 20_000 + "\n",
    "deep comprehensions": "b := " + "{1 | " * 3_000 + "1" + "}" * 3_000 + "\n",
    "quotes that never close": "b := " + '"\\' * 100_000 + "\n",
    "concat that backtracks": 'b := concat("", [' + "[[[]" * 50 + "|)\n",
    "deep YAML": "# METADATA\n# title: " + "[" * 50_000 + "\nb if input.purpose\n",
    "a bomb of aliases": "# METADATA\n# title: &a [x, x, x, x, x, x, x, x, x]\n"
    + "".join(
        f"# {name}: &{name} [{', '.join(['*' + before] * 9)}]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
    + "b if input.purpose\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_module_is_refused_and_ends(name: str) -> None:
    report = checked(modules(HOSTILE[name]), opa=QUICK)
    assert report.failed


def test_a_module_can_not_have_a_schema_fetched() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}/schema.json"
        rule = f'# METADATA\n# schemas:\n#   - input: {{"$ref": "{url}"}}\nb if input.purpos\n'
        problems = by_name(checked(modules(rule)))["strict"].problems
        server.setblocking(False)
        with pytest.raises(BlockingIOError):
            server.accept()
    assert [one.message for one in problems] == ["undefined ref: input.purpos"]


def test_an_endless_test_fails_alone() -> None:
    loops = "; ".join(f"some {name} in many" for name in "abcdef")
    endless = f"\nmany := [{'1, ' * 29}1]\n\ntest_endless if count([1 | {loops}]) > 0\n"
    report = checked(modules(tests=TESTS + endless), opa=None)
    (problem,) = by_name(report)["tests"].problems
    assert problem.message.startswith("test_endless: it used up its CPU time")
    assert [one.passed for one in report.tests] == [True, False]


@pytest.mark.parametrize(
    ("pushed", "path", "line", "told"),
    [
        ({"a.rego": b"package a\n\n\xff"}, "a.rego", 3, "not UTF-8"),
        ({"a.rego": "x := \ud800"}, "a.rego", 1, "not UTF-8"),
        ({"a.rego": b"package a\n\0"}, "a.rego", 2, "U+0000"),
        ({"a.rego": b"package a\n\x1b[2J"}, "a.rego", 2, "U+001B"),
        ({"../a.rego": b""}, "../a.rego", 1, "lower-case words"),
        ({"/etc/a.rego": b""}, "/etc/a.rego", 1, "lower-case words"),
        ({"b/../a.rego": b""}, "b/../a.rego", 1, "lower-case words"),
        ({"a.rego\n": b""}, "a.rego\n", 1, "lower-case words"),
        ({"a\0.rego": b""}, "a\0.rego", 1, "lower-case words"),
        ({"a" * 300 + ".rego": b""}, "a" * 300 + ".rego", 1, "at most 200"),
        ({"a.rego": b"#" * (MAX_MODULE_BYTES + 1)}, "a.rego", 1, "at most 524,288 bytes"),
        ({f"m{n}.rego": b"" for n in range(MAX_MODULES + 1)}, "", 0, "501 modules, at most 500"),
        ({f"m{n}.rego": b"#" * MAX_MODULE_BYTES for n in range(9)}, "", 0, "at most 4,194,304"),
        ({}, "", 0, "there are no modules"),
    ],
)
def test_what_can_be_no_layer_fails_the_check_of_size(
    pushed: dict[str, bytes | str], path: str, line: int, told: str
) -> None:
    report = checked(pushed)
    size = by_name(report)["size"]
    assert size.outcome is Outcome.FAILED
    assert any(
        (one.path, one.line) == (path, line) and told in one.message for one in size.problems
    )
    assert len(report.not_run) == len(report.checks) - 1


def test_just_within_the_limits_is_well() -> None:
    half = {f"m{n}.rego": b"#" * MAX_MODULE_BYTES for n in range(MAX_BYTES // MAX_MODULE_BYTES)}
    assert read_texts(half)[1] == []
    assert read_texts({f"m{n}.rego": b"" for n in range(MAX_MODULES)})[1] == []


@given(st.dictionaries(st.text(max_size=8), st.binary(max_size=20) | st.text(max_size=20)))
def test_whatever_is_pushed_has_texts_or_problems(pushed: dict[str, bytes | str]) -> None:
    texts, problems = read_texts(pushed)
    assert problems or texts.keys() == pushed.keys()


@given(st.text(st.sampled_from('"`\\#$\n a{}'), max_size=40))
def test_blanking_keeps_every_position(text: str) -> None:
    for blanked in (code(text), without_comments(text)):
        assert len(blanked) == len(text)
        assert [n for n, c in enumerate(blanked) if c == "\n"] == [
            n for n, c in enumerate(text) if c == "\n"
        ]


@settings(max_examples=20)
@given(st.sampled_from(['"\\', '"', "`", "$`", '$"', "#", "\\"]), st.integers(50_000, 100_000))
def test_texts_are_blanked_in_the_time_it_takes_to_read_them(part: str, times: int) -> None:
    before = time.process_time()
    code(part * times)
    assert time.process_time() - before < 2


def test_what_can_not_be_read_in_time_is_refused() -> None:
    text = HEAD + "b := " + "a . " * 100_000
    with pytest.raises(PolicyInvalid, match="within 1 s of CPU time"):
        lint_bounded({"organisation/a.rego": text}, seconds=1)


def test_a_bounded_look_finds_what_a_look_finds() -> None:
    modules = {"organisation/a.rego": f"{HEAD}allow := 0.5\n"}
    assert lint_bounded(modules) == lint(modules) != []


def test_metadata_that_is_no_sentence_is_none() -> None:
    blocks = ["[" * 50_000, "2026-99-99", "{title: [a], description: b}", "title: &a [*a]"]
    for block in blocks:
        assert sentences([f"# METADATA\n# {block}\n"]) == {}


def test_only_plain_modules_of_the_folder_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "a.rego").write_text("package a\n")
    (folder / "README.md").write_text("no module")
    (folder / ".#a.rego").symlink_to("nowhere")
    (folder / ".git").mkdir()
    (folder / ".git" / "b.rego").write_text("package b\n")
    assert read_folder(folder) == {"inner/a.rego": b"package a\n"}


@pytest.mark.parametrize("target", ["../secret.rego", "/etc/passwd", "nowhere"])
def test_a_link_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "secret.rego").write_text("package secret\n")
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "a.rego").symlink_to(target)
    with pytest.raises(PolicyInvalid, match="is a link"):
        read_folder(folder)


def test_a_linked_folder_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    (folder / "up").symlink_to("..", target_is_directory=True)
    with pytest.raises(PolicyInvalid, match="is a link"):
        read_folder(folder)


def test_a_pipe_is_no_module_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.rego")
    with pytest.raises(PolicyInvalid, match="no plain file"):
        read_folder(tmp_path)


def test_folders_have_an_end(tmp_path: Path) -> None:
    (tmp_path / "/".join(["a"] * 40)).mkdir(parents=True)
    with pytest.raises(PolicyInvalid, match="too deep"):
        read_folder(tmp_path)


def test_no_more_is_read_than_is_needed_to_refuse(tmp_path: Path) -> None:
    (tmp_path / "a.rego").write_bytes(b"#" * (2 * MAX_MODULE_BYTES))
    for number in range(MAX_MODULES + 50):
        (tmp_path / f"m{number}.rego").touch()
    found = read_folder(tmp_path)
    assert len(found["a.rego"]) == MAX_MODULE_BYTES + 1
    assert len(found) == MAX_MODULES + 1
    assert read_texts(dict(found))[1]


def program(folder: Path, script: str) -> Opa:
    file = folder / "opa"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    return Opa(file, cpu_seconds=1, wall_seconds=5)


def test_a_program_that_works_for_ever_is_ended(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="1 s of CPU time"):
        program(tmp_path, "while :; do :; done").run(tmp_path, "check")


def test_a_program_that_waits_for_ever_is_ended(tmp_path: Path) -> None:
    waiting = Opa(program(tmp_path, "exec sleep 60").program, wall_seconds=0.2)
    with pytest.raises(PolicyError, match="too much time"):
        waiting.run(tmp_path, "check")


def test_a_program_has_no_environment_and_runs_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_OF_THE_PARENT", "1")
    said = program(tmp_path, "env; pwd -P").run(tmp_path, "check")
    assert "SECRET_OF_THE_PARENT" not in said.out
    assert str(tmp_path.resolve()) in said.out.splitlines()[-1]


def test_a_program_that_can_not_be_run_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PolicyError, match="can't be run"):
        Opa(tmp_path / "nowhere").run(tmp_path, "check")
