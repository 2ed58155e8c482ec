"""Agents, purposes, tokens, status: what is asked and what is shown."""

import json
from datetime import timedelta

import pytest

from mesh import errors
from mesh.v1 import agents_pb2, identity_pb2, opas_pb2, purposes_pb2, status_pb2
from mesh.wire.times import to_duration, to_timestamp
from tests.unit.cli import samples
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import NOW, Run


def test_agent_list_tells_who_is_behind(control: ControlPlane, run: Run) -> None:
    control.answers["ListAgents"] = agents_pb2.ListAgentsResponse(agents=[samples.agent()])
    assert "8 of 9" in run("agent", "list").out
    (listed,) = json.loads(run("agent", "list", "-o", "json").out)
    assert (listed["acknowledged_revision"], listed["target_revision"]) == (8, 9)


def test_agent_show_tells_why_a_contract_was_refused(control: ControlPlane, run: Run) -> None:
    control.answers["GetAgent"] = agents_pb2.GetAgentResponse(agent=samples.agent())
    done = run("agent", "show", "bookings/bookings-1")
    assert "contract.version_taken" in done.out
    assert control.last("GetAgent").id == "bookings-1"


def test_agent_show_needs_domain_and_id(run: Run) -> None:
    assert run("agent", "show", "bookings-1").code == errors.USAGE_EXIT_CODE


def test_opa_list_tells_which_bundle_each_has(control: ControlPlane, run: Run) -> None:
    control.answers["ListOpas"] = opas_pb2.ListOpasResponse(opas=[samples.opa()])
    shown = run("opa", "list", "--domain", "bookings").out
    assert "8 of 9" in shown
    assert "failed to verify" in shown
    assert control.last("ListOpas").domain == "bookings"
    (listed,) = json.loads(run("opa", "list", "-o", "json").out)
    assert (listed["opa"], listed["active_revision"]) == ("bookings/5f3a-1", 8)


def test_the_bundle_key_is_alone_on_stdout_and_steers_no_terminal(
    control: ControlPlane, run: Run
) -> None:
    control.answers["GetBundleKey"] = opas_pb2.GetBundleKeyResponse(
        id="bundle-1", algorithm="ES256", public_key="-----BEGIN\n\x1b[31mAAAA\n"
    )
    done = run("opa", "key")
    assert done.out.splitlines()[0] == "-----BEGIN"
    assert "\x1b" not in done.out
    assert "bundle-1" in done.err
    assert json.loads(run("opa", "key", "-o", "json").out)["algorithm"] == "ES256"


def test_where_no_opa_is_served_the_key_says_so(control: ControlPlane, run: Run) -> None:
    control.answers["GetBundleKey"] = errors.OpaNotServed("it serves no OPA; set `opa.listen`")
    done = run("opa", "key")
    assert (done.code, done.out) == (5, "")
    assert "opa.listen" in done.err


def test_a_join_token_is_alone_on_stdout(control: ControlPlane, run: Run) -> None:
    control.answers["CreateJoinToken"] = agents_pb2.CreateJoinTokenResponse(
        token="join-me",
        expire_time=to_timestamp(NOW + timedelta(minutes=10)),
    )
    done = run("agent", "join-token", "bookings")
    assert done.out == "join-me\n"
    assert "in 10 minutes" in done.err
    shown = json.loads(run("agent", "join-token", "bookings", "-o", "json").out)
    assert shown["domain"] == "bookings"
    assert shown["token"] in done.out


@pytest.mark.parametrize(("created", "said"), [(True, "Registered."), (False, "before")])
def test_purpose_add_says_whether_it_is_new(
    created: bool, said: str, control: ControlPlane, run: Run
) -> None:
    control.answers["AddPurpose"] = purposes_pb2.AddPurposeResponse(
        purpose=purposes_pb2.Purpose(id="crew-planning", title="Plan crews"), created=created
    )
    assert said in run("purpose", "add", "crew-planning", "Plan crews").err


def test_a_purpose_that_is_no_name_is_a_usage_error(run: Run) -> None:
    assert run("purpose", "add", "Crew Planning", "x").code == errors.USAGE_EXIT_CODE


def test_purpose_list_is_by_id(control: ControlPlane, run: Run) -> None:
    control.answers["ListPurposes"] = purposes_pb2.ListPurposesResponse(
        purposes=[purposes_pb2.Purpose(id="crew-planning", title="Plan crews")]
    )
    assert run("purpose", "list", "-o", "csv").out.splitlines()[1].startswith("crew-planning,")


def test_a_token_is_alone_on_stdout_and_its_end_on_stderr(control: ControlPlane, run: Run) -> None:
    control.answers["IssueToken"] = samples.token()
    done = run("token", "issue", "--domain", "bookings")
    assert done.out == f"{samples.TOKEN}\n"
    assert "in 1 hour" in done.err
    assert control.last("IssueToken").domain == "bookings"
    assert not control.last("IssueToken").HasField("principal")


def test_a_token_for_somebody_else_names_teams_duties_and_lifetime(
    control: ControlPlane, run: Run
) -> None:
    control.answers["IssueToken"] = samples.token()
    run(
        "token", "issue", "--for", "user:ana", "--team", "ops", "--team", "crew",
        "--duty", "owner:bookings", "--lifetime", "8h",
    )  # fmt: skip
    asked = control.last("IssueToken")
    assert (asked.principal.kind, asked.principal.subject) == ("user", "ana")
    assert list(asked.principal.teams) == ["ops", "crew"]
    assert list(asked.principal.duties) == ["owner:bookings"]
    assert asked.lifetime == to_duration(timedelta(hours=8))


def test_teams_without_somebody_are_a_usage_error(control: ControlPlane, run: Run) -> None:
    assert run("token", "issue", "--team", "ops").code == errors.USAGE_EXIT_CODE
    assert control.asked == []


def test_token_show_tells_who_you_are(control: ControlPlane, run: Run) -> None:
    control.answers["GetCaller"] = identity_pb2.GetCallerResponse(
        principal=identity_pb2.Principal(kind="user", subject="ana", duties=["auditor"]),
        expire_time=to_timestamp(NOW + timedelta(minutes=1)),
    )
    shown = json.loads(run("token", "show", "-o", "json").out)
    assert shown["principal"] == "user:ana"
    assert shown["until"] == "2026-11-24T22:01:00Z"


def test_status_tells_the_worst_time_from_revocation_to_refusal_for_each_class(
    control: ControlPlane, run: Run
) -> None:
    restricted = status_pb2.Deadline(
        classification="restricted",
        lease=to_duration(timedelta(minutes=5)),
        slowest=to_duration(timedelta(milliseconds=70)),
        changes=12,
    )
    public = status_pb2.Deadline(classification="public", lease=to_duration(timedelta(days=7)))
    control.answers["GetStatus"] = status_pb2.GetStatusResponse(
        version="0.1.0",
        revision=12_345,
        agents=4,
        agents_current=3,
        deadlines=[restricted, public],
    )
    done = run("status")
    assert "1 of 4 agents not current" in done.err
    lines = [line.split() for line in done.out.splitlines()]
    assert ["restricted", "5", "minutes", "0.07", "seconds", "12"] in lines
    assert ["public", "7", "days", "not", "measured", "0"] in lines
    assert json.loads(run("status", "-o", "json").out)["revocation"] == [
        {"classification": "restricted", "lease": 300, "slowest": 0.07, "changes": 12},
        {"classification": "public", "lease": 604_800, "slowest": None, "changes": 0},
    ]


def test_version_tells_both_when_a_server_answers(control: ControlPlane, run: Run) -> None:
    control.answers["GetStatus"] = status_pb2.GetStatusResponse(version="9.9.9")
    assert json.loads(run("version", "-o", "json").out)["server"] == "9.9.9"


def test_version_needs_no_server(bare: Run) -> None:
    done = bare("version")
    assert done.code == 0
    assert "no server or token set" in done.out
