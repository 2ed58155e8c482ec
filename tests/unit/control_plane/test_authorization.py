"""Who may call what: the whole matrix, on the engine that serves."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

import mesh.v1
from control_plane.authorization import ENTRYPOINT, Authorization
from control_plane.serving import SERVICES
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.decisions.shipped import shipped
from mesh.errors import DutyMissing, MeshError, PolicyError, TokenMissing
from mesh.identity.principal import CONTROL_AUDIENCE, Caller, Principal, PrincipalKind

CALLERS: dict[str, Principal | None] = {
    "nobody": None,
    "user": Principal(PrincipalKind.USER, "ana", ("ops",)),
    "service": Principal(PrincipalKind.SERVICE, "bi"),
    "owner": Principal(PrincipalKind.USER, "olga", duties=("owner:bookings",)),
    "steward": Principal(PrincipalKind.USER, "sam", duties=("steward:bookings",)),
    "security": Principal(PrincipalKind.USER, "sec", duties=("security",)),
    "auditor": Principal(PrincipalKind.USER, "aud", duties=("auditor",)),
    "admin": Principal(PrincipalKind.USER, "admin", duties=("admin",)),
    "opa": Principal(PrincipalKind.SERVICE, "opa", duties=("opa:bookings",)),
    "agent": Principal(PrincipalKind.AGENT, "bookings/bookings-1"),
}
PEOPLE = {"user", "service", "owner", "steward", "security", "auditor", "admin", "opa"}
ANYBODY = set(CALLERS)
# The domain of calls that name one is `bookings`.
MATRIX: dict[str, set[str]] = {
    "AgentService/CreateJoinToken": {"admin", "owner", "steward"},
    "AgentService/EnrolAgent": ANYBODY,
    "AgentService/Sync": {"agent"},
    "AgentService/ReportAgent": {"agent"},
    "AgentService/ListAgents": PEOPLE,
    "AgentService/GetAgent": PEOPLE | {"agent"},
    "AgreementService/RequestAgreement": PEOPLE,
    "AgreementService/GetAgreement": PEOPLE,
    "AgreementService/ListAgreements": PEOPLE,
    "AgreementService/ApproveAgreement": PEOPLE,
    "AgreementService/RejectAgreement": PEOPLE,
    "AgreementService/CancelAgreement": PEOPLE,
    "AgreementService/RevokeAgreement": PEOPLE,
    "AuditService/AppendEvents": {"agent"},
    "AuditService/ReportEvidence": {"agent"},
    "ErasureService/ErasePrincipal": {"admin"},
    "ErasureService/ListErasures": {"admin", "auditor", "security"},
    "LogService/ListLogs": PEOPLE,
    "LogService/ReadLog": {"admin", "auditor", "security"},
    "LogService/SignManifest": {"admin", "auditor", "security"},
    "LogService/ProveReceipt": PEOPLE,
    "AuditService/SummarizeReads": PEOPLE,
    "AuditService/ListEntries": PEOPLE,
    "AuditService/TailEntries": PEOPLE,
    "AuditService/GetReceipt": PEOPLE,
    "OpaService/GetBundleKey": PEOPLE,
    "OpaService/ListOpas": PEOPLE,
    "ContractService/PublishContract": {"admin", "owner", "agent"},
    "ContractService/GetContract": PEOPLE,
    "ContractService/ListProducts": PEOPLE,
    "IdentityService/IssueToken": PEOPLE,
    "IdentityService/GetCaller": PEOPLE | {"agent"},
    "AgentService/ReadRehearsal": {"agent"},
    "AgentService/ReportRehearsal": {"agent"},
    "PolicyService/GetPolicy": PEOPLE,
    "PolicyService/GetPolicyModule": PEOPLE,
    "PolicyService/DecideFor": {"admin", "auditor", "security", "owner", "steward"},
    "PolicyService/PushPolicy": {"security", "owner", "steward"},
    "PolicyService/StartRehearsal": {"security", "owner", "steward"},
    "PolicyService/GetRehearsal": {"security", "owner", "steward"},
    "PolicyService/ActivatePolicy": {"security", "owner"},
    "PolicyService/RollBackPolicy": {"security", "owner"},
    "PolicyService/GetPolicyStatus": {"admin", "auditor", "security", "owner", "steward"},
    "PolicyService/ListPolicyActivations": {"admin", "auditor", "security", "owner", "steward"},
    "PolicyService/ListPolicyRevisions": {"admin", "auditor", "security", "owner", "steward"},
    "PolicyService/ReadPolicyRevision": {"admin", "auditor", "security", "owner", "steward"},
    "PurposeService/AddPurpose": {"admin", "security", "steward"},
    "PurposeService/ListPurposes": PEOPLE,
    "StatusService/GetStatus": PEOPLE,
}
OPEN = (
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "/grpc.health.v1.Health/List",
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
)


class Names:
    """Takes the name of a caller for their token."""

    def verify(self, token: str) -> Caller:
        principal = CALLERS.get(token)
        if principal is None:
            raise TokenMissing("no token")
        return Caller(principal, CONTROL_AUDIENCE, "j", datetime.now(UTC) + timedelta(hours=1))


@pytest.fixture(scope="module")
def engine() -> Iterator[RegopyEngine]:
    engine = RegopyEngine(ENTRYPOINT)
    engine.load(shipped("control"))
    yield engine
    engine.close()


def admitted(authorization: Authorization, method: str, domain: str | None) -> set[str]:
    names = set()
    for name in CALLERS:
        try:
            authorization.admit(method, "" if name == "nobody" else name, domain)
        except DutyMissing:
            assert name != "nobody"
        except TokenMissing:
            assert name == "nobody"
        else:
            names.add(name)
    return names


def methods() -> list[str]:
    return [f"{service.name}/{method.name}" for service in SERVICES for method in service.methods]


def test_every_method_has_a_row_and_every_row_a_method() -> None:
    assert set(methods()) == set(MATRIX)


def test_every_row_holds(engine: RegopyEngine) -> None:
    authorization = Authorization(engine, Names())
    wrong = {
        method: found
        for method in methods()
        if (found := admitted(authorization, f"/mesh.v1.{method}", "bookings"))
        != MATRIX.get(method)
    }
    assert not wrong


@pytest.mark.parametrize("method", OPEN)
def test_health_and_reflection_are_open(engine: RegopyEngine, method: str) -> None:
    assert admitted(Authorization(engine, Names()), method, None) == ANYBODY


@pytest.mark.parametrize(
    "method",
    [
        "",
        "/",
        "/mesh.v1.ContractService/",
        "/mesh.v1.ContractService/Unknown",
        "/mesh.v1.contractservice/listproducts",
        "/mesh.v2.ContractService/ListProducts",
        "mesh.v1.ContractService/ListProducts",
        "/mesh.v1.DecisionService/Decide",
    ],
)
def test_a_method_in_no_table_is_denied_to_everybody(engine: RegopyEngine, method: str) -> None:
    assert admitted(Authorization(engine, Names()), method, "bookings") == set()


@pytest.mark.parametrize("domain", ["fleet", "", "bookings2", None])
def test_a_duty_for_another_domain_makes_no_join_tokens(
    engine: RegopyEngine, domain: str | None
) -> None:
    authorization = Authorization(engine, Names())
    assert admitted(authorization, "/mesh.v1.AgentService/CreateJoinToken", domain) == {"admin"}


@pytest.mark.parametrize("method", ["/opa/bundles", "/opa/status", "/opa/logs"])
def test_only_an_opa_of_the_domain_uses_opas_own_apis(engine: RegopyEngine, method: str) -> None:
    authorization = Authorization(engine, Names())
    assert admitted(authorization, method, "bookings") == {"opa"}
    assert admitted(authorization, method, "fleet") == set()
    assert admitted(authorization, method, None) == set()


@dataclass
class Counting:
    """An engine that answers what a test says, and counts."""

    answer: object
    documents: list[bytes] = field(default_factory=list)
    name: str = "counting"

    def load(self, policy: Policy) -> None:
        raise NotImplementedError

    def evaluate(self, document: bytes) -> object:
        self.documents.append(document)
        return self.answer

    def close(self) -> None:
        raise NotImplementedError


def test_the_same_question_is_asked_once() -> None:
    counting = Counting({"allow": True})
    authorization = Authorization(counting, Names())
    for _ in range(3):
        authorization.admit("/mesh.v1.X/Y", "user", None)
    assert len(counting.documents) == 1


@pytest.mark.parametrize(
    "answer", [None, {}, [], True, {"allow": "yes"}, {"allow": 1}, {"allow": True, "more": 1}]
)
def test_an_answer_of_another_shape_denies(answer: object) -> None:
    authorization = Authorization(Counting(answer), Names())
    with pytest.raises(PolicyError):
        authorization.admit("/mesh.v1.X/Y", "admin", None)


def test_an_engine_that_fails_denies() -> None:
    engine = RegopyEngine(ENTRYPOINT)
    with pytest.raises(MeshError):
        Authorization(engine, Names()).admit("/mesh.v1.StatusService/GetStatus", "admin", None)
    engine.close()


def test_every_service_of_the_wire_is_served_here_or_by_agents() -> None:
    stubs = [
        importlib.import_module(f"mesh.v1.{module.name}")
        for module in pkgutil.iter_modules(mesh.v1.__path__)
        if module.name.endswith("_pb2")
    ]
    named = {name for stub in stubs for name in stub.DESCRIPTOR.services_by_name}
    assert named == {service.name for service in SERVICES} | {"DecisionService"}
