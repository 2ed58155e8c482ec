"""R1: the agent is killed at every point; no row without evidence, no evidence lost."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from domain_agent.spool.segments import SpoolDamaged
from examples.airline.processes import ProcessFailed
from tests.faults.points import POINTS
from tests.faults.rounds import Rounds
from tests.faults.stage import staged
from tests.faults.tally import SCALE, Trial

FAULT = f"kill -9 of the agent at {len(POINTS)} named points, with three readers"
SEEDS, ROUNDS = SCALE.of(27, 1), SCALE.of(len(POINTS), 9)
MOST_PROBLEMS = 3


@pytest.mark.parametrize("seed", range(SEEDS))
def test_killed_anywhere_nothing_leaves_without_evidence_and_none_is_lost(
    seed: int, tmp_path: Path, trial: Callable[[str, str], Trial]
) -> None:
    names = random.Random(seed).sample(sorted(POINTS), ROUNDS)  # noqa: S311 - a seeded series
    problems: list[str] = []
    with staged(tmp_path) as stage:
        rounds = Rounds(stage, trial("R1", FAULT))
        for name in names:
            try:
                rounds.kill_at(name, seed)
            except (AssertionError, ProcessFailed, SpoolDamaged) as problem:
                problems.append(f"{name} {seed}: {problem}")
            assert len(problems) < MOST_PROBLEMS, problems
        assert not problems
        rounds.settle()
        rounds.count()
