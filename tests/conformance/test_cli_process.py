"""`mesh` as a process: pipes, interrupts, completion, exit codes."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.v1 import audit_pb2, contracts_pb2
from tests.unit.cli import samples
from tests.unit.cli.services import ControlPlane, serving

MESH = str(Path(sys.executable).with_name("mesh"))


@pytest.fixture
def control() -> Iterator[ControlPlane]:
    with serving() as plane:
        yield plane


@pytest.fixture
def variables(control: ControlPlane, tmp_path: Path) -> dict[str, str]:
    kept = {key: os.environ[key] for key in ("PATH", "LANG") if key in os.environ}
    return {
        **kept,
        "HOME": str(tmp_path),
        "MESH_SERVER": control.address,
        "MESH_TOKEN": "a.control.token",
    }


def products(count: int) -> contracts_pb2.ListProductsResponse:
    many = [samples.contract(product=f"product_{number}") for number in range(count)]
    return contracts_pb2.ListProductsResponse(contracts=many)


def test_json_in_a_pipe_is_clean(control: ControlPlane, variables: dict[str, str]) -> None:
    control.answers["ListProducts"] = products(1)
    done = subprocess.run(
        [MESH, "product", "list", "-o", "json"], env=variables, capture_output=True, check=True
    )
    assert done.stdout.startswith(b"[")
    assert b"\x1b" not in done.stdout
    assert done.stderr == b""


def test_a_reader_that_leaves_is_no_error(control: ControlPlane, variables: dict[str, str]) -> None:
    control.answers["ListProducts"] = products(2_000)
    with subprocess.Popen(
        [MESH, "product", "list", "-o", "json"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(10)
        process.stdout.close()
        assert process.wait(20) == 128 + signal.SIGPIPE
        assert process.stderr.read() == b""


def test_an_interrupt_ends_a_tail_with_130(
    control: ControlPlane, variables: dict[str, str]
) -> None:
    control.answers["ListEntries"] = audit_pb2.ListEntriesResponse(entries=[samples.entry()])
    control.answers["TailEntries"] = lambda _: Forever()  # type: ignore[assignment,return-value]
    with subprocess.Popen(
        [MESH, "audit", "tail", "--follow"],
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert "read.completed" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        try:
            assert process.wait(20) == 130
        finally:
            process.kill()
        assert "Traceback" not in process.stderr.read()


class Forever:
    """A stream on which one entry arrives, and then nothing until the client leaves."""

    def __iter__(self) -> Iterator[audit_pb2.TailEntriesResponse]:
        yield audit_pb2.TailEntriesResponse(entry=samples.entry())
        threading.Event().wait(5)


def test_nothing_but_the_error_is_said_when_nobody_serves(variables: dict[str, str]) -> None:
    done = subprocess.run(
        [MESH, "status", "--server", "127.0.0.1:1"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 9
    assert done.stdout == ""
    assert done.stderr.startswith("error: 127.0.0.1:1 can't be reached")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["mesh pro", "mesh product sh"])
def test_bash_completes_commands(words: str, variables: dict[str, str]) -> None:
    asked = {
        "_MESH_COMPLETE": "bash_complete",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(
        [MESH], env={**variables, **asked}, capture_output=True, text=True, check=False
    )
    expected = {"mesh pro": "plain,product", "mesh product sh": "plain,show"}
    assert done.stdout.strip() == expected[words]


def test_the_bash_script_is_bash(variables: dict[str, str]) -> None:
    bash = shutil.which("bash")
    assert bash is not None
    script = subprocess.run(
        [MESH, "completion", "bash"], env=variables, capture_output=True, text=True, check=True
    ).stdout
    subprocess.run([bash, "-n"], input=script, text=True, check=True)


def test_text_that_the_terminal_can_not_spell_is_no_failure(
    control: ControlPlane, variables: dict[str, str]
) -> None:
    contract = samples.contract()
    contract.title = "Réservations → 旅客"
    control.answers["ListProducts"] = contracts_pb2.ListProductsResponse(contracts=[contract])
    latin = {**variables, "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    done = subprocess.run([MESH, "product", "list"], env=latin, capture_output=True, check=True)
    assert "Réservations".encode("latin-1") in done.stdout
    assert b"\\u2192" in done.stdout
