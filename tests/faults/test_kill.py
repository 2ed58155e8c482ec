"""R1: the agent is killed at every point; no row without evidence, no evidence lost."""

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.points import POINTS
from tests.faults.rounds import Rounds
from tests.faults.stage import staged
from tests.faults.tally import Scale, Trial

FAULT = f"kill -9 of the agent at {len(POINTS)} named points, with three readers"
LANES, SEEDS, BETWEEN = 2, 40, 40


@pytest.mark.parametrize("lane", range(LANES))
def test_killed_anywhere_nothing_leaves_without_evidence_and_none_is_lost(
    lane: int, tmp_path: Path, scale: Scale, trial: Callable[[str, str], Trial]
) -> None:
    plan = [
        (name, seed)
        for place, name in enumerate(POINTS)
        for seed in range(scale.of(SEEDS, 1))
        if (place + seed) % LANES == lane
    ]
    random.Random(lane).shuffle(plan)  # noqa: S311 - a seeded series
    if not scale.full:
        plan = plan[:9]
    with staged(tmp_path) as stage:
        rounds = Rounds(stage, trial("R1", FAULT))
        for number, (name, seed) in enumerate(plan, 1):
            rounds.kill_at(name, seed)
            if number % BETWEEN == 0:
                rounds.settle()
        rounds.settle()
        rounds.count()
