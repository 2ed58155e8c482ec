import json

import pytest

from mesh import errors
from mesh.v1 import agreements_pb2
from mesh.wire.times import from_timestamp
from tests.unit.cli import samples
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import Run

ASK = (
    "access", "request", "bookings.reservations", "--role", "analyst", "--purpose",
    "crew-planning", "--justification", "Rota of week 48",
)  # fmt: skip


@pytest.fixture
def asking(control: ControlPlane, run: Run) -> Run:
    control.answers["RequestAgreement"] = agreements_pb2.RequestAgreementResponse(
        agreement=samples.agreement()
    )
    return run


def test_a_request_says_who_decides(asking: Run, control: ControlPlane) -> None:
    done = asking(*ASK)
    asked = control.last("RequestAgreement")
    assert done.code == 0
    assert "user:bea decides" in done.err
    assert (asked.domain, asked.product, asked.role) == ("bookings", "reservations", "analyst")
    assert asked.request_id
    assert not asked.HasField("expire_time")


@pytest.mark.parametrize(
    ("until", "expected", "said"),
    [
        ("2026-12-31", "2027-01-01T00:00:00+00:00", "end of 2026-12-31 in UTC"),
        ("2026-12-31T18:00:00+01:00", "2026-12-31T17:00:00+00:00", ""),
        ("90d", "2027-02-22T22:00:00+00:00", "2027-02-22T22:00:00Z"),
        ("12h", "2026-11-25T10:00:00+00:00", "2026-11-25T10:00:00Z"),
    ],
)
def test_until_is_an_instant_and_a_chosen_one_is_said(
    until: str, expected: str, said: str, asking: Run, control: ControlPlane
) -> None:
    done = asking(*ASK, "--until", until)
    asked = from_timestamp(control.last("RequestAgreement").expire_time, "expire_time")
    assert asked.isoformat() == expected
    assert said in done.err


@pytest.mark.parametrize("until", ["tomorrow", "2026-12-31T18:00:00", "2026-13-01", "-3d", "90"])
def test_what_is_no_time_is_a_usage_error(until: str, asking: Run, control: ControlPlane) -> None:
    done = asking(*ASK, "--until", until)
    assert done.code == errors.USAGE_EXIT_CODE
    assert control.asked == []


def test_a_request_can_be_for_a_team_and_for_some_datasets(
    asking: Run, control: ControlPlane
) -> None:
    asking(*ASK, "--for", "team:ops", "--dataset", "passengers", "--dataset", "seats")
    asked = control.last("RequestAgreement")
    assert asked.consumer == "team:ops"
    assert list(asked.datasets) == ["passengers", "seats"]


def test_list_filters_by_state_product_and_consumer(control: ControlPlane, run: Run) -> None:
    control.answers["ListAgreements"] = agreements_pb2.ListAgreementsResponse(
        agreements=[samples.agreement()]
    )
    done = run(
        "access", "list", "--state", "requested", "--product", "bookings.reservations",
        "--consumer", "user:ana", "-o", "json",
    )  # fmt: skip
    asked = control.last("ListAgreements")
    assert asked.state == agreements_pb2.AGREEMENT_STATE_REQUESTED
    assert (asked.domain, asked.product, asked.consumer) == (
        "bookings",
        "reservations",
        "user:ana",
    )
    (listed,) = json.loads(done.out)
    assert listed["state"] == "requested"
    assert listed["until"] == "2027-02-22T22:00:00Z"


@pytest.mark.parametrize(
    ("verb", "method"),
    [("approve", "Approve"), ("reject", "Reject"), ("cancel", "Cancel"), ("revoke", "Revoke")],
)
def test_each_step_names_its_agreement(
    verb: str, method: str, control: ControlPlane, run: Run
) -> None:
    answer = getattr(agreements_pb2, f"{method}AgreementResponse")
    control.answers[f"{method}Agreement"] = answer(agreement=samples.agreement())
    note = () if verb == "cancel" else ("--note", "as discussed")
    done = run("access", verb, samples.AGREEMENT_ID, *note)
    asked = control.last(f"{method}Agreement")
    assert done.code == 0
    assert asked.id == samples.AGREEMENT_ID
    assert verb == "cancel" or asked.note == "as discussed"


def test_an_active_agreement_says_what_is_not_yet_seen(control: ControlPlane, run: Run) -> None:
    active = samples.agreement(agreements_pb2.AGREEMENT_STATE_ACTIVE)
    control.answers["GetAgreement"] = agreements_pb2.GetAgreementResponse(agreement=active)
    done = run("access", "show", samples.AGREEMENT_ID)
    assert "not yet by any agent" in done.out
    assert "in 90 days (2027-02-22T22:00:00Z)" in done.out
    shown = json.loads(run("access", "show", samples.AGREEMENT_ID, "-o", "json").out)
    assert shown["enforced"] is None
