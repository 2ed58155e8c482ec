"""`mesh erasure`: asked for deliberately, shown without a name."""

import json
from datetime import timedelta

import pytest

from mesh import errors
from mesh.v1 import erasures_pb2
from mesh.wire.times import to_timestamp
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import NOW, Run

ERASURE = erasures_pb2.Erasure(
    id="0193f0c2-6c3e-7b1a-9a52-1f3d2c4b5a70",
    reason="request 17",
    request_time=to_timestamp(NOW - timedelta(minutes=1)),
    waiting=["bookings/bookings-1"],
    keys=2,
)


def test_an_erasure_says_who_it_waits_for(control: ControlPlane, run: Run) -> None:
    control.answers["ErasePrincipal"] = erasures_pb2.ErasePrincipalResponse(erasure=ERASURE)
    done = run("erasure", "request", "user:ana", "--reason", "request 17", "--yes")
    assert "1 agents have yet" in done.err
    assert "bookings/bookings-1" in done.out
    asked = control.last("ErasePrincipal")
    assert (asked.principal, asked.reason) == ("user:ana", "request 17")


@pytest.mark.parametrize("name", ["ana", "team:ops", "user:"])
def test_only_people_and_services_can_be_erased(name: str, run: Run) -> None:
    done = run("erasure", "request", name, "--reason", "request 17", "--yes")
    assert done.code == errors.USAGE_EXIT_CODE


def test_nobody_is_erased_unasked_in_a_pipe(control: ControlPlane, run: Run) -> None:
    done = run("erasure", "request", "user:ana", "--reason", "request 17")
    assert done.code == errors.USAGE_EXIT_CODE
    assert "--yes" in done.err
    assert not control.asked


def test_erasures_are_listed_without_names(control: ControlPlane, run: Run) -> None:
    control.answers["ListErasures"] = erasures_pb2.ListErasuresResponse(erasures=[ERASURE])
    (listed,) = json.loads(run("erasure", "list", "-o", "json").out)
    assert listed["completed"] is None
    assert listed["waiting"] == ["bookings/bookings-1"]
