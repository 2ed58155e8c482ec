"""R3 and R4 at the agent: with a failing or full disk it refuses, and is well again by itself."""

import random
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.stage import Stage, staged
from tests.faults.tally import Scale, Trial
from tests.faults.watching import Watched, watched

FAILING = "failing disk: the n-th write, fsync, rename or creation raises EIO or ENOSPC"
FULL = "full disk: an 8 MiB tmpfs is filled while three readers read, and emptied again"
REFUSED = "evidence.unavailable"
Opened = Callable[[str, str], Trial]


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with staged(tmp_path_factory.mktemp("disk")) as found:
        yield found


def test_with_a_failing_disk_reads_are_refused_until_it_is_well(
    stage: Stage, scale: Scale, trial: Opened
) -> None:
    row = trial("R3", FAILING)
    with watched(stage, extra=("--every=3",)) as agent:
        process = agent.stage.agent
        assert process is not None
        for _ in range(scale.of(40, 1)):
            agent.serves_again()
            process.process.send_signal(signal.SIGUSR1)
            agent.each_is_refused(REFUSED)
            process.process.send_signal(signal.SIGUSR2)
            row.took("served again, without a restart", agent.serves_again())
            row.tried += 1
        row.count("reads refused", agent.refused(REFUSED))
        agent.settle()
        row.count("streams noted by clients", len(agent.ledger.clients))


def test_with_a_full_disk_reads_are_refused_until_there_is_room(
    stage: Stage, scale: Scale, trial: Opened
) -> None:
    row, rng = trial("R4", FULL), random.Random(4)  # noqa: S311 - a seeded series
    with watched(stage, inside=tmpfs(stage.state)) as agent:
        filler = agent.state / "filler"
        for _ in range(scale.of(50, 2)):
            agent.serves_again()
            fill(filler, rng.randrange(4_096))
            agent.each_is_refused(REFUSED)
            filler.unlink()
            row.took("served again, without a restart", agent.serves_again())
            row.tried += 1
        row.count("reads refused", agent.refused(REFUSED))
        agent.settle()
        row.count("streams noted by clients", len(agent.ledger.clients))
        keep(agent)


def tmpfs(folder: Path) -> tuple[str, ...]:
    """A command prefix: a mount namespace in which the folder is a small tmpfs."""
    script = (
        'set -e; kept=$(mktemp -d); cp -a "$1/." "$kept"; '
        'mount -t tmpfs -o size=8m tmpfs "$1"; cp -a "$kept/." "$1"; rm -r "$kept"; '
        'shift; exec "$@"'
    )
    return ("unshare", "--map-root-user", "--mount", "sh", "-c", script, "sh", str(folder))


def fill(path: Path, spare: int) -> None:
    """Write until the disk is full, and give a few bytes back, for a write to be torn."""
    with path.open("wb", buffering=0) as file:
        try:
            while file.tell() < 9 << 20:
                file.write(b"\0" * 4_096)
        except OSError:
            file.truncate(max(0, file.tell() - spare))
            return
    raise AssertionError(f"{path} is on a larger disk than meant")


def keep(agent: Watched) -> None:
    """Copy what lies on the tmpfs to where the next agent of the stage finds it."""
    assert agent.stage.agent is not None
    agent.stage.agent.process.send_signal(signal.SIGSTOP)
    kept = agent.stage.state.with_name("kept")
    shutil.copytree(agent.state, kept)
    agent.stage.agent.process.kill()
    shutil.rmtree(agent.stage.state)
    kept.rename(agent.stage.state)
