"""R7: without its control plane an agent refuses the strictest first, and what is public last."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.faults.classified import CLASSES, ask_each_class, serve_each_class
from tests.faults.short_lease import Asking, Plane, short_leased
from tests.faults.stage import Sizes
from tests.faults.tally import Scale, Trial
from tests.faults.test_control_plane import AWAY, EXPIRED, ROOMY

Opened = Callable[[str, str], Trial]
USER = "lone-classified"


def test_each_class_is_served_until_its_own_lease_ends(
    tmp_path: Path, scale: Scale, trial: Opened
) -> None:
    row = trial("R7", AWAY)
    step = scale.of(4, 2)
    lengths = range(4 * step, 0, -step)
    with short_leased(tmp_path, dict(zip(CLASSES, lengths, strict=True))) as plane:
        asking = serve_each_class(plane, ROOMY, USER)
        for number in range(scale.of(10, 2)):
            plane.kill()
            killed = time.monotonic()
            if number % 2:
                asking = _restarted(plane, ROOMY)
            _refuse_one_after_the_other(plane, asking, killed, row)
            plane.start()
            began = time.monotonic()
            for one in asking.values():
                one.until("served")
            row.took("all classes served again, without a restart", time.monotonic() - began)
            row.tried += 1
        assert plane.stage.agent is not None


def _restarted(plane: Plane, sizes: Sizes) -> Mapping[str, Asking]:
    """Kill the agent too, and start it from what it kept."""
    stage = plane.stage
    assert stage.agent is not None
    stage.agent.process.kill()
    stage.stop()
    stage.launch(sizes)
    return ask_each_class(plane, USER)


def _refuse_one_after_the_other(
    plane: Plane, asking: Mapping[str, Asking], killed: float, row: Trial
) -> None:
    """Ask for all classes until none is served; once one is refused it stays so."""
    served = list(CLASSES)
    while served:
        answers = {one: asking[one].once() for one in reversed(CLASSES)}
        since = time.monotonic() - killed
        assert set(answers.values()) <= {"served", EXPIRED}, answers
        still = [one for one in CLASSES if answers[one] == "served"]
        # Asked strictest first, so that what is refused meanwhile is what is milder.
        assert still == served[: len(still)], f"{answers} after {served}"
        for one in served[len(still) :]:
            row.took(f"{one} served after the kill", since)
            assert since < plane.leases[one] + 5.0
        served = still
    row.count("classes refused after their lease", len(CLASSES))
