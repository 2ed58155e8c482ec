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
LANES, SEEDS, BETWEEN = SCALE.of(2, 1), SCALE.of(27, 1), 40
SMOKE, MOST_PROBLEMS = 9, 5


@pytest.mark.parametrize("lane", range(LANES))
def test_killed_anywhere_nothing_leaves_without_evidence_and_none_is_lost(
    lane: int, tmp_path: Path, trial: Callable[[str, str], Trial]
) -> None:
    plan = [
        (name, seed)
        for place, name in enumerate(POINTS)
        for seed in range(SEEDS)
        if (place + seed) % LANES == lane
    ]
    random.Random(lane).shuffle(plan)  # noqa: S311 - a seeded series
    problems: list[str] = []
    with staged(tmp_path) as stage:
        rounds = Rounds(stage, trial("R1", FAULT))
        for number, (name, seed) in enumerate(plan[: SCALE.of(len(plan), SMOKE)], 1):
            try:
                rounds.kill_at(name, seed)
                if number % BETWEEN == 0:
                    rounds.settle()
            except (AssertionError, ProcessFailed, SpoolDamaged) as problem:
                problems.append(f"{name} {seed}: {problem}")
            assert len(problems) < MOST_PROBLEMS, problems
        assert not problems
        rounds.settle()
        rounds.count()
