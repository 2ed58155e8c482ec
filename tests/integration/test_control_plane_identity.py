"""Tokens and enrolment over real gRPC."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import grpc
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from mesh.contracts.values import Classification
from mesh.errors import (
    AgentIdTaken,
    AgentNotFound,
    DutyMissing,
    RequestInvalid,
    TokenAudience,
    TokenExpired,
    TokenInvalid,
    TokenJoinInvalid,
    TokenMissing,
)
from mesh.identity.principal import domain_audience
from mesh.identity.tokens import TokenKey, TokenVerifier, agent_token
from mesh.leases import DEFAULT_LEASES
from mesh.v1 import agents_pb2, audit_pb2, identity_pb2, policies_pb2, status_pb2
from mesh.wire.times import to_duration
from tests.unit.control_plane.running import Client, Plane, enrol, error_of, running


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running(tmp_path_factory.mktemp("plane") / "state") as plane:
        yield plane


def me(client: Client) -> identity_pb2.GetCallerResponse:
    return client.identity.GetCaller(identity_pb2.GetCallerRequest())


def join_token(plane: Plane, domain: str = "bookings") -> str:
    request = agents_pb2.CreateJoinTokenRequest(domain=domain)
    return plane.admin.agents.CreateJoinToken(request).token


def test_the_first_token_is_the_administrators(plane: Plane) -> None:
    caller = me(plane.admin)
    assert (caller.principal.kind, caller.principal.subject) == ("user", "admin")
    assert list(caller.principal.duties) == ["admin"]


def test_a_domain_token_works_in_that_domain_only(plane: Plane) -> None:
    ana = plane.user("ana", teams=("ops",), duties=("auditor",))
    issued = ana.identity.IssueToken(identity_pb2.IssueTokenRequest(domain="bookings"))
    assert issued.audience == "mesh:domain:bookings"
    keys = enrol(plane, "bookings", "reader", Ed25519PrivateKey.generate()).keys

    class Trusted:
        def token_key(self, key_id: str) -> TokenKey | None:
            known = {key.id: key.public_key for key in keys if key.use == "token"}
            return TokenKey(key_id, "meshwarden", known[key_id]) if key_id in known else None

    def verify(audience: str) -> list[str]:
        verifier = TokenVerifier(audience, Trusted(), lambda: datetime.now(UTC))
        principal = verifier.verify(issued.token).principal
        return [principal.reference, *principal.teams, *principal.duties]

    assert verify(domain_audience("bookings")) == ["user:ana", "ops"]
    with pytest.raises(TokenAudience):
        verify(domain_audience("fleet"))
    refused = error_of(lambda: me(plane.client(issued.token)))
    assert isinstance(refused, TokenAudience)


def test_issuing_for_others_is_told_and_issuing_for_oneself_is_not(plane: Plane) -> None:
    plane.user("bob")
    entry = plane.admin.audit.ListEntries(audit_pb2.ListEntriesRequest()).entries[0]
    assert (entry.action, entry.actor) == ("token.issued", "user:admin")
    assert "user:bob" in entry.summary
    plane.admin.identity.IssueToken(identity_pb2.IssueTokenRequest(domain="fleet"))
    again = plane.admin.audit.ListEntries(audit_pb2.ListEntriesRequest()).entries[0]
    assert again == entry


def test_a_token_of_ones_own_ends_with_the_one_shown(plane: Plane) -> None:
    ana = plane.user("ana")
    request = identity_pb2.IssueTokenRequest(
        domain="bookings", lifetime=to_duration(timedelta(hours=24))
    )
    issued = ana.identity.IssueToken(request)
    assert issued.expire_time == me(ana).expire_time


def test_only_admin_and_security_issue_for_others(plane: Plane) -> None:
    principal = identity_pb2.Principal(kind="user", subject="bob")
    request = identity_pb2.IssueTokenRequest(principal=principal)
    ana = plane.user("ana", duties=("auditor",))
    assert isinstance(error_of(lambda: ana.identity.IssueToken(request)), DutyMissing)
    security = plane.user("sec", duties=("security",))
    assert security.identity.IssueToken(request).principal.subject == "bob"


def test_calls_without_a_token_or_with_a_bad_one_are_refused(plane: Plane) -> None:
    def status(token: str) -> object:
        return plane.client(token).status.GetStatus(status_pb2.GetStatusRequest())

    assert isinstance(error_of(lambda: status("")), TokenMissing)
    assert isinstance(error_of(lambda: status("no-token")), TokenInvalid)
    with pytest.raises(grpc.RpcError) as basic:
        plane.client("").status.GetStatus(
            status_pb2.GetStatusRequest(), metadata=(("authorization", "Basic YTpi"),)
        )
    assert basic.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_an_expired_token_says_when_it_ended(tmp_path_factory: pytest.TempPathFactory) -> None:
    with running(tmp_path_factory.mktemp("late") / "state") as plane:
        ana = plane.user("ana")
        plane.clock.ahead = timedelta(hours=1, seconds=62)
        assert isinstance(error_of(lambda: me(ana)), TokenExpired)


def test_health_and_reflection_need_no_token(plane: Plane) -> None:
    channel = plane.client("").channel
    health: Any = health_pb2_grpc.HealthStub(channel)
    answer = health.Check(health_pb2.HealthCheckRequest())
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    reflection: Any = reflection_pb2_grpc.ServerReflectionStub(channel)
    answers = reflection.ServerReflectionInfo(iter([asked]))
    names = {service.name for service in next(answers).list_services_response.service}
    assert {"mesh.v1.AgreementService", "mesh.v1.StatusService", "grpc.health.v1.Health"} <= names


def test_an_unknown_health_service_is_not_found(plane: Plane) -> None:
    stub: Any = health_pb2_grpc.HealthStub(plane.client("").channel)
    with pytest.raises(grpc.RpcError) as unknown:
        stub.Check(health_pb2.HealthCheckRequest(service="none"))
    assert unknown.value.code() is grpc.StatusCode.NOT_FOUND


def test_an_unknown_method_is_unimplemented(plane: Plane) -> None:
    method: Any = plane.admin.channel.unary_unary("/mesh.v1.ContractService/Unknown")
    with pytest.raises(grpc.RpcError) as unknown:
        method(b"", metadata=plane.admin.metadata)
    assert unknown.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_an_agent_enrols_once_and_again_with_the_same_key(plane: Plane) -> None:
    key = Ed25519PrivateKey.generate()
    token = join_token(plane)
    first = enrol(plane, "bookings", "again-1", key, token)
    assert first.domain == "bookings"
    assert sorted(trusted.use for trusted in first.keys) == ["evidence", "snapshot", "token"]
    assert enrol(plane, "bookings", "again-1", key, token) == first
    assert enrol(plane, "bookings", "again-1", key) == first
    changes = plane.admin.audit.ListEntries(
        audit_pb2.ListEntriesRequest(actor="agent:bookings/again-1")
    )
    assert [entry.action for entry in changes.entries] == ["agent.enrolled"]


def test_another_key_for_an_enrolled_id_is_refused_and_keeps_the_join_token(plane: Plane) -> None:
    enrol(plane, "bookings", "taken-1", Ed25519PrivateKey.generate())
    token = join_token(plane)
    other = Ed25519PrivateKey.generate()
    error = error_of(lambda: enrol(plane, "bookings", "taken-1", other, token))
    assert isinstance(error, AgentIdTaken)
    assert enrol(plane, "bookings", "taken-2", other, token).domain == "bookings"


def test_a_join_token_enrols_one_agent_whatever_the_key(plane: Plane) -> None:
    token, key = join_token(plane), Ed25519PrivateKey.generate()
    enrol(plane, "bookings", "only-1", key, token)
    error = error_of(lambda: enrol(plane, "bookings", "only-2", key, token))
    assert isinstance(error, TokenJoinInvalid)
    assert enrol(plane, "bookings", "only-1", key, token).domain == "bookings"


def test_a_join_token_works_once_and_for_ten_minutes(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running(tmp_path_factory.mktemp("join") / "state") as plane:
        used, late = join_token(plane), join_token(plane)
        enrol(plane, "bookings", "one", Ed25519PrivateKey.generate(), used)
        plane.clock.ahead = timedelta(minutes=9, seconds=30)
        for token in (used, "mjt_unknown", ""):
            request = request_for(token, Ed25519PrivateKey.generate())
            error = error_of(partial(plane.client("").agents.EnrolAgent, request))
            assert isinstance(error, TokenJoinInvalid)
        plane.clock.ahead = timedelta(minutes=10, seconds=1)
        request = request_for(late, Ed25519PrivateKey.generate())
        error = error_of(lambda: plane.client("").agents.EnrolAgent(request))
        assert isinstance(error, TokenJoinInvalid)


def request_for(
    token: str, key: Ed25519PrivateKey, agent: str = "two"
) -> agents_pb2.EnrolAgentRequest:
    return agents_pb2.EnrolAgentRequest(
        join_token=token,
        id=agent,
        public_key=key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
        proof=key.sign(f"meshwarden-enrol:{token}:{agent}".encode()),
    )


def test_a_key_without_its_proof_is_refused(plane: Plane) -> None:
    token, key = join_token(plane), Ed25519PrivateKey.generate()
    stolen = request_for(token, key)
    stolen.public_key = (
        Ed25519PrivateKey.generate().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    )
    other_id = request_for(token, key)
    other_id.id = "three"
    bad_id, short_key = request_for(token, key, "Bad Id"), request_for(token, key)
    short_key.public_key = b"short"
    enrol_agent = plane.client("").agents.EnrolAgent
    assert isinstance(error_of(lambda: enrol_agent(stolen)), TokenJoinInvalid)
    assert isinstance(error_of(lambda: enrol_agent(other_id)), TokenJoinInvalid)
    assert isinstance(error_of(lambda: enrol_agent(bad_id)), RequestInvalid)
    assert isinstance(error_of(lambda: enrol_agent(short_key)), RequestInvalid)
    assert enrol_agent(request_for(token, key)).domain == "bookings"


def test_join_tokens_are_kept_as_hashes(plane: Plane) -> None:
    token = join_token(plane)
    files = [path.read_bytes() for path in plane.state.iterdir() if path.name.startswith("control")]
    assert not any(token.encode() in content for content in files)


def test_who_makes_join_tokens_is_policy(plane: Plane) -> None:
    request = agents_pb2.CreateJoinTokenRequest(domain="bookings")
    steward = plane.user("sam", duties=("steward:bookings",))
    assert steward.agents.CreateJoinToken(request).token
    foreign = plane.user("max", duties=("steward:fleet",))
    assert isinstance(error_of(lambda: foreign.agents.CreateJoinToken(request)), DutyMissing)
    reserved = agents_pb2.CreateJoinTokenRequest(domain="main")
    assert isinstance(
        error_of(lambda: plane.admin.agents.CreateJoinToken(reserved)), RequestInvalid
    )


def test_an_agents_token_is_its_own_key_or_nothing(plane: Plane) -> None:
    agent = plane.agent("bookings", "own-1")
    assert me(agent).principal.subject == "bookings/own-1"
    forged = agent_token(
        "bookings", "own-1", Ed25519PrivateKey.generate(), uuid.uuid4().hex, plane.clock()
    )
    assert isinstance(error_of(lambda: me(plane.client(forged))), TokenInvalid)
    unknown = agent_token(
        "bookings", "nobody-1", Ed25519PrivateKey.generate(), uuid.uuid4().hex, plane.clock()
    )
    assert isinstance(error_of(lambda: me(plane.client(unknown))), TokenInvalid)


def test_an_agent_reports_itself_and_sees_itself_only(plane: Plane) -> None:
    one, two = plane.agent("bookings", "see-1"), plane.agent("bookings", "see-2")
    product = agents_pb2.ProductReport(
        file="a.yaml", outcome="refused", reason="contract.invalid", message="no"
    )
    one.agents.ReportAgent(
        agents_pb2.ReportAgentRequest(
            flight_uri="grpc://127.0.0.1:1",
            version="0.1.0",
            products=[product],
            spooled_events=3,
            policy_digest="ab",
        )
    )
    wanted = agents_pb2.GetAgentRequest(domain="bookings", id="see-1")
    shown = one.agents.GetAgent(wanted).agent
    assert (shown.flight_uri, shown.spooled_events) == ("grpc://127.0.0.1:1", 3)
    assert list(shown.products) == [product]
    assert not shown.connected
    assert shown.target_revision >= 1
    assert isinstance(error_of(lambda: two.agents.GetAgent(wanted)), AgentNotFound)
    assert plane.user("ana").agents.GetAgent(wanted).agent == shown
    unknown = agents_pb2.GetAgentRequest(domain="bookings", id="none")
    assert isinstance(error_of(lambda: plane.admin.agents.GetAgent(unknown)), AgentNotFound)
    long = agents_pb2.ReportAgentRequest(flight_uri="x" * 513)
    assert isinstance(error_of(lambda: one.agents.ReportAgent(long)), RequestInvalid)


def test_agents_are_listed_by_name_without_their_products(plane: Plane) -> None:
    plane.agent("weather", "w-1")
    plane.agent("weather", "w-2")
    ids: list[str] = []
    token = ""
    while True:
        page = plane.admin.agents.ListAgents(
            agents_pb2.ListAgentsRequest(domain="weather", page_size=1, page_token=token)
        )
        ids += [agent.id for agent in page.agents]
        assert not any(agent.products for agent in page.agents)
        token = page.next_page_token
        if not token:
            break
    assert ids == ["w-1", "w-2"]


def test_the_shipped_is_the_active_policy(plane: Plane) -> None:
    ana = plane.user("ana")
    policy = ana.policies.GetPolicy(policies_pb2.GetPolicyRequest()).policy
    assert policy.active
    paths = [module.path for module in policy.modules]
    assert "library/access.rego" in paths
    assert not any(path.endswith("_test.rego") or "control" in path for path in paths)
    assert not any(module.text for module in policy.modules)
    text = ana.policies.GetPolicyModule(
        policies_pb2.GetPolicyModuleRequest(digest=policy.digest, path="library/access.rego")
    ).module.text
    assert "package mesh.access" in text
    status = ana.status.GetStatus(status_pb2.GetStatusRequest())
    assert status.policy_digest == policy.digest
    deadlines = [(one.classification, one.lease.ToTimedelta()) for one in status.deadlines]
    assert deadlines == [(one.value, DEFAULT_LEASES[one]) for one in reversed(Classification)]
    assert not any(one.HasField("slowest") or one.changes for one in status.deadlines)
    for missing in (
        lambda: ana.policies.GetPolicy(policies_pb2.GetPolicyRequest(digest="none")),
        lambda: ana.policies.GetPolicyModule(
            policies_pb2.GetPolicyModuleRequest(digest=policy.digest, path="none.rego")
        ),
    ):
        assert error_of(missing).reason == "policy.not_found"
