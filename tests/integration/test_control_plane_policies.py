"""The life of a policy over real gRPC: pushed, staged, in force, rolled back, and told apart."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc
import pytest

from mesh.decisions.policy import Policy
from mesh.errors import (
    DutyMissing,
    MeshError,
    PolicyNotFound,
    PolicySecondPerson,
    PolicySuperseded,
    RequestInvalid,
    RequestTooLarge,
)
from mesh.v1 import agents_pb2, audit_pb2, erasures_pb2, policies_pb2
from mesh.wire.status import from_rpc_error
from tests.unit.control_plane.running import Client, Plane, error_of, eventually, running
from tests.unit.control_plane.streams import SyncStream

RULE = """package mesh.{package}

# METADATA
# title: {package}.residency
# description: Personal data is read from products that keep it in the EU.
require["{package}.residency"] if input.product.residency == "{region}"
"""
TEST = """package mesh.{package}_test

import data.mesh.{package}

test_residency if {{
	{package}.require["{package}.residency"] with input.product as {{"residency": "{region}"}}
}}
"""
Modules = Mapping[str, str]


def layer(package: str = "organisation", region: str = "eu") -> dict[str, str]:
    """Modules of a layer with their tests, by path below the pushed folder."""
    return {
        "residency.rego": RULE.format(package=package, region=region),
        "residency_test.rego": TEST.format(package=package, region=region),
    }


def requests(
    name: str, modules: Modules, **header: object
) -> Iterator[policies_pb2.PushPolicyRequest]:
    given: dict[str, object] = {"modules": len(modules), **header}
    told = policies_pb2.PushPolicyHeader(layer=name, **given)  # type: ignore[arg-type]
    yield policies_pb2.PushPolicyRequest(header=told)
    for path, text in modules.items():
        module = policies_pb2.PolicyModule(path=path, text=text)
        yield policies_pb2.PushPolicyRequest(module=module)


def push(
    client: Client, name: str = "organisation", modules: Modules | None = None, **header: object
) -> policies_pb2.PushPolicyResponse:
    modules = layer() if modules is None else modules
    answer: policies_pb2.PushPolicyResponse = client.policies.PushPolicy(
        requests(name, modules, **header)
    )
    return answer


def activate(
    client: Client, revision: int, expected: int = 0, agents: tuple[str, ...] = ()
) -> policies_pb2.PolicyActivation:
    request = policies_pb2.ActivatePolicyRequest(
        revision=revision, expected=expected, agents=agents
    )
    return client.policies.ActivatePolicy(request).activation


def roll_back(client: Client, **wanted: object) -> policies_pb2.PolicyActivation:
    request = policies_pb2.RollBackPolicyRequest(layer="organisation", **wanted)  # type: ignore[arg-type]
    return client.policies.RollBackPolicy(request).activation


def in_force(client: Client, domain: str = "") -> set[str]:
    policy = client.policies.GetPolicy(policies_pb2.GetPolicyRequest(domain=domain)).policy
    assert policy.active
    return {module.path for module in policy.modules if not module.path.startswith("library/")}


def states(client: Client) -> dict[str, tuple[str, int]]:
    """How each agent is with its policy, and since which revision it should have it."""
    status = client.policies.GetPolicyStatus(policies_pb2.GetPolicyStatusRequest())
    return {agent.agent: (agent.state, agent.revision) for agent in status.agents}


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with running(tmp_path / "state") as plane:
        yield plane


@pytest.fixture
def ana(plane: Plane) -> Client:
    return plane.user("ana", duties=("security",))


@pytest.fixture
def bea(plane: Plane) -> Client:
    return plane.user("bea", duties=("security",))


def test_a_pushed_layer_is_a_draft_that_nobody_decides_with(ana: Client) -> None:
    answer = push(ana, commit="c0ffee", dirty=True, message="residency")
    revision = answer.revision
    assert not answer.problems
    assert (revision.layer, revision.author, revision.state) == (
        "organisation",
        "user:ana",
        "draft",
    )
    assert (revision.commit, revision.dirty, revision.message) == ("c0ffee", True, "residency")
    assert {check.outcome for check in revision.checks} <= {"passed", "not_run"}
    assert in_force(ana) == set()
    (listed,) = list_revisions(ana)
    assert listed == revision
    read = list(
        ana.policies.ReadPolicyRevision(
            policies_pb2.ReadPolicyRevisionRequest(revision=revision.revision)
        )
    )
    assert read[0].revision == revision
    found = {one.module.path: one.module.text for one in read[1:]}
    assert found == {f"organisation/{path}": text for path, text in layer().items()}
    assert Policy(found).digest == revision.digest


def list_revisions(client: Client, name: str = "organisation") -> list[policies_pb2.PolicyRevision]:
    request = policies_pb2.ListPolicyRevisionsRequest(layer=name)
    return list(client.policies.ListPolicyRevisions(request).revisions)


def test_a_dry_run_keeps_nothing(ana: Client) -> None:
    assert push(ana, dry_run=True).revision.revision == 0
    assert list_revisions(ana) == []


@pytest.mark.parametrize(
    ("text", "line", "told"),
    [
        ("package mesh.access\n", 1, "its package is `mesh.organisation`"),
        ("package mesh.organisation\n\nallow := true\n", 3, "no rule `allow`"),
        ('package mesh.organisation\n\nx := http.send({"url": "u"})\n', 3, "`http.send`"),
        ("package mesh.organisation\n\nx := data.fleet.plans\n", 3, "nothing else"),
        ("package mesh.organisation\n\nx := {\n", 3, "unclosed"),
    ],
)
def test_what_a_check_finds_is_told_and_nothing_is_kept(
    ana: Client, text: str, line: int, told: str
) -> None:
    answer = push(ana, modules={**layer(), "other.rego": text})
    assert any(one.line == line and told in one.message for one in answer.problems), answer
    assert answer.revision.revision == 0
    assert list_revisions(ana) == []


def test_a_push_that_is_cut_off_keeps_nothing(ana: Client) -> None:
    cut = pushed_error(ana, list(requests("organisation", layer() | {"more.rego": ""}))[:-1])
    assert isinstance(cut, RequestInvalid)
    assert "cut off after 2 modules" in cut.message

    def broken() -> Iterator[policies_pb2.PushPolicyRequest]:
        yield from list(requests("organisation", layer()))[:2]
        raise RuntimeError("the client is killed")

    with pytest.raises(grpc.RpcError):
        ana.policies.PushPolicy(broken())
    assert list_revisions(ana) == []


def test_a_push_is_one_header_and_then_modules_each_once(ana: Client) -> None:
    whole = list(requests("organisation", layer()))
    for odd in ([], whole[1:], [whole[0], *whole], [*whole, whole[1]]):
        assert isinstance(pushed_error(ana, odd), RequestInvalid)
    large = {f"m{n}.rego": "# " + "x" * 1_000_000 for n in range(5)}
    assert isinstance(pushed_error(ana, list(requests("organisation", large))), RequestTooLarge)


def pushed_error(client: Client, sent: list[policies_pb2.PushPolicyRequest]) -> MeshError:
    with pytest.raises(grpc.RpcError) as refused:
        client.policies.PushPolicy(iter(sent))
    return from_rpc_error(refused.value, "the control plane")


@pytest.mark.parametrize("name", ["", "library", "domain", "domain/", "domain/A", "fleet"])
def test_only_layers_that_there_are_can_be_pushed(ana: Client, name: str) -> None:
    assert isinstance(error_of(lambda: push(ana, name)), RequestInvalid)


def test_a_domain_answers_for_its_own_layer_alone(plane: Plane, ana: Client) -> None:
    owner = plane.user("omar", duties=("owner:bookings",))
    steward = plane.user("sue", duties=("steward:bookings",))
    for client in (owner, steward):
        assert isinstance(error_of(lambda: push(client)), DutyMissing)  # noqa: B023 - called at once
        assert isinstance(
            error_of(lambda: push(client, "domain/fleet", layer("domain"))),  # noqa: B023
            DutyMissing,
        )
    assert isinstance(error_of(lambda: push(plane.user("eve"))), DutyMissing)
    draft = push(steward, "domain/bookings", layer("domain")).revision.revision
    assert isinstance(error_of(lambda: activate(steward, draft)), DutyMissing)
    foreign = push(ana, "domain/fleet", layer("domain")).revision.revision
    assert isinstance(error_of(lambda: activate(owner, foreign)), DutyMissing)
    activate(owner, draft)
    assert in_force(ana, "bookings") == {"domain/residency.rego", "declared.rego"}
    assert in_force(ana, "fleet") == set()


def test_the_organisations_layer_takes_a_second_person(ana: Client, bea: Client) -> None:
    draft = push(ana).revision.revision
    assert isinstance(error_of(lambda: activate(ana, draft)), PolicySecondPerson)
    assert in_force(ana) == set()
    made = activate(bea, draft)
    assert (made.kind, made.actor, made.chosen) == ("activated", "user:bea", draft)
    assert in_force(ana) == {"organisation/residency.rego", "declared.rego"}
    (listed,) = list_revisions(ana)
    assert listed.state == "active"


def test_of_two_who_activate_at_once_one_is_told_to_look_again(ana: Client, bea: Client) -> None:
    drafts = [push(ana, modules=layer(region=region)).revision.revision for region in ("eu", "us")]
    with ThreadPoolExecutor(2) as both:
        done = [both.submit(activate, bea, draft) for draft in drafts]
    errors = [one.exception() for one in done]
    assert errors.count(None) == 1
    (error,) = (one for one in errors if isinstance(one, grpc.RpcError))
    superseded = from_rpc_error(error, "the control plane")
    assert isinstance(superseded, PolicySuperseded)
    assert int(superseded.metadata["active"]) in drafts


def test_a_stage_reaches_the_named_agents_alone_until_all_follow(
    plane: Plane, ana: Client, bea: Client
) -> None:
    streams = {
        f"{domain}/{agent}": SyncStream(plane.agent(domain, agent))
        for domain, agent in (("bookings", "b-1"), ("bookings", "b-2"), ("fleet", "f-1"))
    }
    for stream in streams.values():
        payload, _ = stream.snapshot()
        stream.acknowledge(payload.revision, payload.snapshot.digest)
    draft = push(ana).revision.revision
    unknown = error_of(lambda: activate(bea, draft, agents=("bookings/b-9",)))
    assert isinstance(unknown, RequestInvalid)
    stage = activate(bea, draft, agents=("bookings/b-1",))
    deltas = {name: stream.payload() for name, stream in streams.items()}
    changed = {
        name: {entry.key for entry in payload.delta.upserts} for name, payload in deltas.items()
    }
    assert changed == {
        "bookings/b-1": {"policy/declared.rego", "policy/organisation/residency.rego"},
        "bookings/b-2": set(),
        "fleet/f-1": set(),
    }
    assert states(ana)["bookings/b-1"] == ("behind", stage.revision)
    for name, payload in deltas.items():
        streams[name].acknowledge(payload.revision, payload.delta.digest)
    eventually(lambda: states(ana)["bookings/b-1"] == ("current", stage.revision))
    assert states(ana)["bookings/b-2"][1] < stage.revision
    assert in_force(ana) == set()
    everywhere = activate(bea, draft)
    for name in ("bookings/b-2", "fleet/f-1"):
        payload = streams[name].payload()
        assert {entry.key for entry in payload.delta.upserts} == changed["bookings/b-1"]
        streams[name].refuse(payload.revision, "policy.invalid")
    eventually(lambda: states(ana)["fleet/f-1"] == ("refused", everywhere.revision))


def test_one_command_goes_back_to_what_was_or_to_nothing(ana: Client, bea: Client) -> None:
    first, second = (
        push(ana, modules=layer(region=region)).revision.revision for region in ("eu", "us")
    )
    assert isinstance(error_of(lambda: roll_back(ana)), PolicyNotFound)
    activate(bea, first)
    activate(bea, second, expected=first)
    back = roll_back(ana)
    assert (back.kind, back.chosen, back.actor) == ("rolled back", first, "user:ana")
    assert roll_back(ana, revision=second).chosen == second
    never = push(ana, modules=layer(region="ch")).revision.revision
    assert isinstance(error_of(lambda: roll_back(ana, revision=never)), PolicyNotFound)
    assert roll_back(ana, none=True).chosen == 0
    assert in_force(ana) == set()
    request = policies_pb2.ListPolicyActivationsRequest(layer="organisation")
    told = ana.policies.ListPolicyActivations(request).activations
    assert [one.chosen for one in told] == [0, second, first, second, first]
    entries = ana.audit.ListEntries(audit_pb2.ListEntriesRequest(kind="change")).entries
    actions = [entry.action for entry in entries if entry.action.startswith("policy.")]
    assert actions.count("policy.rolled_back") == 3
    assert actions.count("policy.pushed") == 4


def test_a_policy_is_found_by_its_digest_when_others_are_in_force(ana: Client, bea: Client) -> None:
    activate(bea, push(ana).revision.revision)
    old = ana.policies.GetPolicy(policies_pb2.GetPolicyRequest()).policy
    roll_back(ana, none=True)
    found = ana.policies.GetPolicy(policies_pb2.GetPolicyRequest(digest=old.digest)).policy
    assert not found.active
    assert found.modules == old.modules


def finding(principal: str) -> agents_pb2.RehearsalFinding:
    return agents_pb2.RehearsalFinding(
        kind="column exposed",
        product="bookings.reservations",
        dataset="passengers",
        columns=["email"],
        classification="confidential",
        before="drop",
        after="clear",
        principal=principal,
        purpose="crew-planning",
        reads=3,
    )


def rehearse(client: Client, revision: int) -> policies_pb2.Rehearsal:
    request = policies_pb2.StartRehearsalRequest(revision=revision)
    return client.policies.StartRehearsal(request).rehearsal


def test_a_rehearsal_that_agents_work_on_is_not_asked_for_again(plane: Plane, ana: Client) -> None:
    agent = plane.agent()
    stream = SyncStream(agent)
    stream.snapshot()
    draft = push(ana).revision.revision
    eventually(lambda: states(ana)["bookings/bookings-1"][0] != "away")
    begun = rehearse(ana, draft)
    assert rehearse(ana, draft).id == begun.id
    asked = stream.payload().rehearsal
    assert asked.id == begun.id
    modules = agent.agents.ReadRehearsal(agents_pb2.ReadRehearsalRequest(id=asked.id))
    assert Policy({one.path: one.text for one in modules}).digest == asked.digest
    agent.agents.ReportRehearsal(agents_pb2.ReportRehearsalRequest(id=asked.id))
    assert rehearse(ana, draft).id != begun.id


def test_an_agent_reports_what_it_was_asked_and_of_its_own_products(
    plane: Plane, ana: Client
) -> None:
    agent, other = plane.agent(), plane.agent("fleet", "fleet-1")
    stream = SyncStream(agent)
    stream.snapshot()
    eventually(lambda: states(ana)["bookings/bookings-1"][0] != "away")
    begun = rehearse(ana, push(ana).revision.revision).id
    unasked = agents_pb2.ReportRehearsalRequest(id=begun)
    assert isinstance(error_of(lambda: other.agents.ReportRehearsal(unasked)), PolicyNotFound)
    foreign = finding("user:ana")
    foreign.product = "fleet.aircraft"
    wrong = agents_pb2.ReportRehearsalRequest(id=begun, findings=[foreign])
    assert isinstance(error_of(lambda: agent.agents.ReportRehearsal(wrong)), RequestInvalid)


def test_an_erased_person_is_in_no_policy_and_no_rehearsal(plane: Plane, ana: Client) -> None:
    agent = plane.agent()
    stream = SyncStream(agent)
    stream.snapshot()
    eventually(lambda: states(ana)["bookings/bookings-1"][0] != "away")
    draft = push(ana).revision.revision
    begun = rehearse(ana, draft)
    findings = [finding("user:ana"), finding("user:zoe")]
    told = agents_pb2.ReportRehearsalRequest(id=begun.id, findings=findings)
    agent.agents.ReportRehearsal(told)
    for name in ("user:ana", "user:zoe"):
        request = erasures_pb2.ErasePrincipalRequest(principal=name, reason="request 17")
        plane.admin.erasures.ErasePrincipal(request)
    bea = plane.user("bea", duties=("security",))
    shown = bea.policies.GetRehearsal(policies_pb2.GetRehearsalRequest(revision=draft)).rehearsal
    assert (shown.starter, {one.principal for one in shown.findings}) == ("erased", {"erased"})
    (revision,) = list_revisions(bea)
    assert revision.author == "erased"

    def is_gone() -> bool:
        """Not in findings; the erasure itself has the name until the agent confirms it."""
        content = b"".join(path.read_bytes() for path in plane.state.glob("control.db*"))
        return b"user:zoe".hex().encode() not in content

    eventually(is_gone)
