"""Beside OPA's decision log: what is lost of it while its sink is away, and what is lost here."""

from dataclasses import replace
from pathlib import Path

from tests.bench.losses import Outage, agent_losses, opa_losses

OUTAGE = Outage(seconds=2.0, around=0.5, pace=40.0, patience=4.0)
PATIENT = replace(OUTAGE, patience=30.0)


def test_an_agent_loses_nothing_where_a_bounded_buffer_does(tmp_path: Path) -> None:
    theirs = opa_losses(tmp_path / "opa", OUTAGE, buffer=4 * 1024, killed=False)
    ours = agent_losses(tmp_path / "agent", PATIENT, broker=None)
    assert theirs.decisions == ours.decisions == OUTAGE.decisions
    assert ours.lost == 0
    assert theirs.lost > 0
