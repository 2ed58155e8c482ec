"""R3: the nth write, fsync, rename or creation fails; nothing is served, nothing is lost."""

import errno
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from mesh.evidence.events import EventType
from mesh.evidence.sealing import key_id, unseal
from tests.faults.disk import KINDS, Failing, failing_disk
from tests.faults.evidence import Evidence, Story
from tests.faults.tally import Scale, Trial

FAULT = "failing disk: the n-th write, fsync, rename or creation raises EIO or ENOSPC"


def cases(scale: Scale) -> list[tuple[str, int, int]]:
    """Kind, n, and how many calls fail from the n-th on."""
    step = 1 if scale.full else 29
    return [(kind, nth, times) for kind in KINDS for nth in range(1, 201, step) for times in (1, 4)]


def test_a_call_that_fails_is_never_taken_for_success(
    tmp_path: Path, scale: Scale, trial: Callable[[str, str], Trial]
) -> None:
    row = trial("R3", FAULT)
    for number, (kind, nth, times) in enumerate(cases(scale)):
        code = (errno.EIO, errno.ENOSPC)[number % 2]
        failing = Failing(_between(kind, nth, nth + times - 1), number % 11 / 10, code)
        folder = tmp_path / str(number)
        folder.mkdir()
        _try(folder, failing, kind, nth + times - 1, row)
    row.count("promised and then missing", 0)


def _between(kind: str, first: int, last: int) -> Callable[[str, int], bool]:
    return lambda called, count: called == kind and first <= count <= last


def _try(folder: Path, failing: Failing, kind: str, last: int, row: Trial) -> None:
    story, where = Story(Evidence(folder)), f"{kind} until {last}"
    descriptors = _descriptors()
    with failing_disk(failing):
        while failing.calls[kind] < last:
            story.tell()
    row.tried += 1
    row.count("calls that failed", failing.failed.total())
    row.count("reads refused", story.refused)
    promised = len(story.started)
    story.tell()
    assert len(story.started) == promised + 1, f"{where}: it does not recover by itself"
    _check(story.evidence, story, where)
    assert _descriptors() - descriptors <= 1, f"{where}: descriptors are left open"
    _check(Evidence(folder), story, f"{where}, after a restart")


def _descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _check(evidence: Evidence, story: Story, where: str) -> None:
    """What was promised is in the log, in order, and nothing else; and it can be opened."""
    events = evidence.everything()
    assert events[0].sequence <= story.acknowledged + 1, where
    assert events[-1].sequence == evidence.spool.head.size, where
    begun = [event.receipt for event in events if event.type is EventType.STARTED]
    ended = Counter(event.receipt for event in events if event.type is EventType.COMPLETED)
    assert begun == story.started[-len(begun) :], where
    assert all(ended[receipt] == 1 for receipt in begun), where
    assert evidence.spool.unfinished() == [], where
    secrets = {key.id: key.secret for key in evidence.keys.undelivered(1_000)}
    for event in events:
        if event.type is EventType.STARTED:
            assert unseal(event.id, event.data, secrets[str(key_id(event.data))]), where
    assert evidence.snapshots.load() is not None or story.revision == 0, where
    assert evidence.snapshots.highest_revision >= story.revision, where
    signed = evidence.heads.last
    assert signed is None or signed.size <= evidence.spool.head.size, where
