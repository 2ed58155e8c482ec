import json
from datetime import timedelta
from typing import Any

import pytest

from mesh import errors
from mesh.v1 import agreements_pb2
from mesh.wire.times import from_timestamp, to_timestamp
from tests.unit.cli import samples
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import NOW, Clock, Outcome, Run

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


def revoked() -> agreements_pb2.Agreement:
    message = samples.agreement(agreements_pb2.AGREEMENT_STATE_REVOKED)
    message.end_time.CopyFrom(to_timestamp(NOW))
    return message


def enforcement(agent: str, seconds: float | None) -> agreements_pb2.Enforcement:
    """One that was acknowledged that long after the revocation, or not yet."""
    message = agreements_pb2.Enforcement(
        agent=f"bookings/{agent}",
        enforced=seconds is not None,
        lease_end_time=to_timestamp(NOW + timedelta(minutes=5)),
    )
    if seconds is not None:
        message.acknowledge_time.CopyFrom(to_timestamp(NOW + timedelta(seconds=seconds)))
    return message


@pytest.fixture
def revoking(control: ControlPlane, run: Run) -> Run:
    control.answers["RevokeAgreement"] = agreements_pb2.RevokeAgreementResponse(agreement=revoked())

    def revoke(*arguments: str, **options: Any) -> Outcome:
        return run("access", "revoke", samples.AGREEMENT_ID, *arguments, **options)

    return revoke


def standing(*enforcements: agreements_pb2.Enforcement) -> agreements_pb2.GetAgreementResponse:
    return agreements_pb2.GetAgreementResponse(agreement=revoked(), enforcements=enforcements)


def test_a_revocation_that_waits_returns_when_every_agent_enforces_it(
    revoking: Run, control: ControlPlane, clock: Clock
) -> None:
    control.answers["GetAgreement"] = [
        standing(enforcement("one", None), enforcement("two", None)),
        standing(enforcement("one", 0.25), enforcement("two", None)),
        standing(enforcement("one", 0.25), enforcement("two", 1.5)),
    ]
    done = revoking("--wait", "-o", "json")
    assert done.code == 0
    assert len(clock.pauses) == 2
    shown = json.loads(done.out)
    assert (shown["state"], shown["revision"]) == ("revoked", 9)
    assert shown["enforced_after"] == 1.5
    assert [(one["agent"], one["seconds"]) for one in shown["agents"]] == [
        ("bookings/one", 0.25),
        ("bookings/two", 1.5),
    ]


def test_a_revocation_tells_people_how_long_it_took(revoking: Run, control: ControlPlane) -> None:
    control.answers["GetAgreement"] = standing(enforcement("one", 0.25))
    done = revoking("--wait")
    assert done.code == 0
    assert "0.250 seconds" in done.out
    assert "bookings/one" in done.out
    assert "Revoked in revision 9" in done.err


def test_an_agent_that_does_not_enforce_it_in_time_is_named_with_its_deadline(
    revoking: Run, control: ControlPlane, clock: Clock
) -> None:
    control.answers["GetAgreement"] = standing(enforcement("one", 0.25), enforcement("two", None))
    done = revoking("--wait", "--timeout", "3", "-o", "json")
    assert done.code == errors.Unavailable.kind.exit_code == 9
    assert 3 <= clock.seconds < 3.3
    error = json.loads(done.err.splitlines()[-1])
    assert error["reason"] == "agreement.unenforced"
    assert error["metadata"]["agents"] == "bookings/two"
    assert "2026-11-24T22:05:00Z" in error["message"]
    assert "bookings/one" not in error["message"]
    shown = json.loads(done.out)
    assert shown["enforced_after"] == 0.25
    assert [one["enforced"] for one in shown["agents"]] == [True, False]


def test_without_waiting_nobody_is_asked(revoking: Run, control: ControlPlane) -> None:
    done = revoking("-o", "json")
    assert done.code == 0
    assert [asked.method for asked in control.asked] == ["RevokeAgreement"]
    assert "agents" not in json.loads(done.out)


def test_a_domain_without_agents_enforces_everything(revoking: Run, control: ControlPlane) -> None:
    control.answers["GetAgreement"] = standing()
    done = revoking("--wait")
    assert done.code == 0
    assert "no agent acknowledged" in done.out


@pytest.mark.parametrize("verb", ["approve", "reject", "cancel", "revoke"])
def test_each_step_tells_its_revision_and_show_does_not(
    verb: str, control: ControlPlane, run: Run
) -> None:
    name = f"{verb.title()}Agreement"
    answer = getattr(agreements_pb2, f"{name}Response")
    control.answers[name] = answer(agreement=samples.agreement())
    words = [line.split() for line in run("access", verb, samples.AGREEMENT_ID).out.splitlines()]
    assert ["revision", "9"] in words
    told = json.loads(run("access", verb, samples.AGREEMENT_ID, "-o", "json").out)
    assert told["revision"] == 9
    shown = agreements_pb2.GetAgreementResponse(agreement=samples.agreement())
    control.answers["GetAgreement"] = shown
    assert "revision" not in run("access", "show", samples.AGREEMENT_ID).out
