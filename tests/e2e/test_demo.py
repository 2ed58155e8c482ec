"""The demo tells its story to the end, and cleans up, also when it is interrupted."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from examples.airline.processes import ROOT
from tests.e2e.town import wait_until

COMMAND = [sys.executable, "-m", "examples.airline.demo"]


def processes_in(folder: Path) -> list[int]:
    """The processes whose command line names the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                command = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if os.fsencode(folder) in command:
                found.append(int(entry.name))
    return found


def test_the_demo_finds_no_surprise(tmp_path: Path) -> None:
    done = subprocess.run(
        COMMAND,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "checks passed" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert processes_in(tmp_path) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_demo_leaves_nothing_behind(tmp_path: Path, number: signal.Signals) -> None:
    with subprocess.Popen(
        COMMAND,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    ) as demo:
        wait_until(lambda: len(processes_in(tmp_path)) >= 2, "its processes run", 60)
        demo.send_signal(number)
        assert demo.wait(60) == 130
    assert processes_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []
