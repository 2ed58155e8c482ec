"""R1b: the power goes at any call; what was promised is there at the next start."""

import contextlib
import random
from collections.abc import Callable
from pathlib import Path

from mesh.evidence.events import EventType
from mesh.evidence.sealing import key_id, unseal
from tests.faults.evidence import Evidence, Story
from tests.faults.power import Power, PowerCut, powered
from tests.faults.tally import Scale, Trial

FAULT = "power cut at any write, sync, rename, creation or removal; half of them after a kill"
READS = 24


def test_what_was_promised_survives_a_power_cut_at_any_call(
    tmp_path: Path, scale: Scale, trial: Callable[[str, str], Trial]
) -> None:
    row = trial("R1b", FAULT)
    calls = _calls(tmp_path / "all")
    for number in range(scale.of(4_000, 120)):
        nth = 1 + number * calls // scale.of(4_000, 120) if not scale.full else 1 + number % calls
        rng = random.Random(number)  # noqa: S311 - a seeded series
        _cut(tmp_path / str(number), nth, rng, row)
        row.tried += 1
    row.count("promised and then missing", 0)


def _calls(folder: Path) -> int:
    """How many calls the story makes."""
    folder.mkdir()
    with powered(Power(folder)) as power:
        _tell(Story(Evidence(folder)))
    return power.calls


def _tell(story: Story) -> None:
    for _ in range(READS):
        story.tell()


def _cut(folder: Path, nth: int, rng: random.Random, row: Trial) -> None:
    live, left = folder / "live", folder / "left"
    live.mkdir(parents=True)
    story = None
    with powered(Power(live, nth)) as power:
        with contextlib.suppress(PowerCut):
            story = Story(Evidence(live))
            _tell(story)
        power.nth = None
        counted = story.evidence.spool.head.size if story is not None else 0
        if rng.random() < 0.5:
            # Only the process died, and another one took over what it had written.
            again = Evidence(live)
            counted = again.spool.head.size
            row.count("a kill, a start, and then the power cut")
    power.left(left, rng)
    _check(Evidence(left), story, counted, f"call {nth} of {folder.name}")


def _check(evidence: Evidence, story: Story | None, counted: int, where: str) -> None:
    assert evidence.spool.head.size >= counted, f"{where}: records that counted are gone"
    if story is None or not counted:
        return
    events = evidence.everything()
    begun = [event.receipt for event in events if event.type is EventType.STARTED]
    first = story.started.index(begun[0]) if begun and begun[0] in story.started else 0
    promised = story.started[first:]
    assert begun[: len(promised)] == promised, where
    assert events[0].sequence <= story.acknowledged + 1, where
    secrets = {key.id: key.secret for key in evidence.keys.undelivered(1_000)}
    for event in events:
        if event.type is EventType.STARTED:
            assert unseal(event.id, event.data, secrets[str(key_id(event.data))]), where
    assert evidence.snapshots.highest_revision >= story.revision, where
    assert evidence.snapshots.load() is not None or not story.revision, where
    signed = evidence.heads.last
    assert signed is None or signed.size <= evidence.spool.head.size, where
