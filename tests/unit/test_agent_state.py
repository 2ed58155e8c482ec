"""One agent at a time in a state folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from domain_agent import state
from domain_agent.state import lock_state
from mesh.errors import StateTaken

HOLDER = """
import sys
from pathlib import Path
from domain_agent.state import lock_state
lock = lock_state(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def holder(folder: Path) -> "subprocess.Popen[str]":
    """Another process that has the folder until its stdin ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_agent_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(state, "WAIT_SECONDS", 0.2)
    with holder(tmp_path / "state") as first:
        with pytest.raises(StateTaken, match="another agent uses"):
            lock_state(tmp_path / "state")
        first.kill()
    lock_state(tmp_path / "state").close()


def test_a_restart_that_overlaps_waits_for_its_turn(tmp_path: Path) -> None:
    with holder(tmp_path / "state") as first:
        waited: list[float] = []

        def elapsed() -> float:
            # Asked between two tries: the first one ends meanwhile.
            waited.append(0.0)
            assert first.stdin is not None
            if not first.stdin.closed:
                first.stdin.close()
            return 0.0

        lock_state(tmp_path / "state", elapsed).close()
        assert waited


def test_the_folder_is_its_owners_alone(tmp_path: Path) -> None:
    with lock_state(tmp_path / "state"):
        assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
