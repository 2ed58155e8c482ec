"""R11: who was revoked reads where that is not known yet, with the revision and without."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from mesh.leases import DEFAULT_LEASES
from tests.faults.classified import PRODUCT, serve_each_class
from tests.faults.short_lease import Asking, Plane, short_leased
from tests.faults.tally import Scale, Trial
from tests.faults.test_control_plane import ROOMY

FAULT = "revoked, then read at an agent whose stream is delayed: with that revision, and without"
REVOKED, BEHIND = "agreement.revoked", "agent.behind"
DELAY_SECONDS = 0.15
_TOGETHER = 50
Opened = Callable[[str, str], Trial]


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    leases = {str(one): length.total_seconds() for one, length in DEFAULT_LEASES.lengths.items()}
    with short_leased(tmp_path, leases) as found:
        yield found


def test_a_read_that_names_a_revision_is_never_decided_by_an_older_one(
    plane: Plane, scale: Scale, trial: Opened
) -> None:
    row, stage = trial("R11", FAULT), plane.stage
    # All readers of it share a plan, so that a read is far shorter than the delay.
    public = serve_each_class(plane, ROOMY, "lone-first")["public"]
    stale = {True: 0, False: 0}
    for number in range(2 * scale.of(1_000, 100) // _TOGETHER):
        readers = _allowed(plane, public, [f"lone-{number}-{one}" for one in range(_TOGETHER)])
        plane.proxy.delay = DELAY_SECONDS
        for place, (agreement, asking) in enumerate(readers.items()):
            named = place % 2 == 0
            revision = stage.revoke(agreement)
            answer = asking.once(revision if named else 0)
            # Without it, the revocation may arrive between the statement's check and its rows.
            assert answer in ({"served", REVOKED, BEHIND if named else "statement.revoked"})
            stale[named] += answer == "served"
            row.count(f"{'with' if named else 'without'} the revision: {answer}")
            row.tried += 1
        plane.proxy.delay = 0.0
    row.count("stale reads with the revision", stale[True])
    row.count("stale reads without", stale[False])
    assert stale[True] == 0
    assert stale[False] > 0, "the stream was not delayed, so nothing was tried"
    assert row.counts[f"with the revision: {REVOKED}"] > 0


def _allowed(plane: Plane, asking: Asking, users: list[str]) -> dict[str, Asking]:
    """Users who may read, and do, by their agreements."""
    stage = plane.stage
    readers = {
        stage.agree(f"user:{user}", user, PRODUCT): replace(asking, token=stage.token(user))
        for user in users
    }
    for one in readers.values():
        one.until("served")
    return readers
