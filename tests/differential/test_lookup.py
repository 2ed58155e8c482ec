"""An OPA that looks up in a bundle decides what the domain's agent decides, byte for byte."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings, target
from hypothesis import strategies as st

from control_plane.opa.bundles import go_json
from control_plane.opa.catalog import catalog
from domain_agent.flight.ports import ReadContext
from domain_agent.reads.deciding import DatasetDecider, require_purpose
from domain_agent.snapshot.values import Snapshot
from mesh.agreements.values import Agreement, AgreementState
from mesh.contracts.values import Classification, Column, Contract, Dataset, Role, Server
from mesh.decisions.deciding import Decider
from mesh.decisions.documents import decision_document, denial, parse_decision
from mesh.decisions.layers import with_declarations
from mesh.decisions.opa_connections import opa_address
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.decisions.shipped import shipped
from mesh.errors import MeshError
from mesh.evidence.canonical import canonical
from mesh.identity.principal import Caller, Principal, PrincipalKind
from mesh.times import rfc3339
from tests.differential.opa_server import OpaServer, free_port
from tests.differential.test_decisions import FEW, FILTERS, ORGANISATION
from tests.unit.decisions.examples import library

DOMAIN = "bookings"
NOW = datetime(2026, 11, 24, 22, tzinfo=UTC)
PURPOSES = frozenset({"audit", "crew-planning", "marketing"})

NAMES = st.sampled_from(["ana", "bea"])
ODD = st.text(max_size=3) | st.sampled_from(['"', "\\", "\x1f", "\x7f", "\u2028", "é", "😀"])
CONSUMERS = st.sampled_from(
    ["user:ana", "user:ana", "user:bea", "service:ana", "team:ops", "team:ops", "team:crew"]
)


Held = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Case:
    """A domain as its agents know it, and one read."""

    contracts: tuple[Contract, ...]
    agreements: tuple[Agreement, ...]
    principal: Principal
    purpose: str
    product: str
    dataset: str


COLUMNS = st.builds(
    Column,
    name=st.just("c"),
    logical_type=st.just("string"),
    physical_type=st.none(),
    classification=st.sampled_from(list(Classification)),
    category=st.sampled_from([None, None, "contact"]) | ODD,
    tags=st.lists(st.sampled_from(["pii", "gdpr", "pii"]) | ODD, max_size=2).map(tuple),
    mask=st.sampled_from([None, None, "clear", "partial", "drop", "blur"]),
)
WIDE = Dataset(
    "wide",
    "w.parquet",
    tuple(Column(f"c{n}", "string", None, Classification.PUBLIC, f"k{n}") for n in range(33)),
)


DAYS = st.integers(-3, 3).map(lambda n: NOW + timedelta(days=n))
DATASETS = ("passengers", "routes", "wide")
PLAIN = Column("id", "string", None, Classification.PUBLIC)

# What a field holds in a read that is allowed, and what it may hold where something is wrong.
RIGHT_AND_ANY: dict[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    "status": (st.sampled_from(["active", "deprecated"]), st.just("retired")),
    "purposes": (st.sampled_from([(), ("crew-planning",)]), st.just(("marketing",))),
    "residency": (st.just("eu"), st.sampled_from([None, 'e"u', "us"])),
    "legal_basis": (st.sampled_from(["contract", "consent"]), st.none()),
    "roles": (st.just(2), st.just(1)),
    "columns": (st.just(()), st.lists(COLUMNS, max_size=3).map(tuple)),
    "kind": (st.just(PrincipalKind.USER), st.sampled_from(list(PrincipalKind))),
    "subject": (st.just("ana"), NAMES | ODD),
    "teams": (
        st.lists(st.sampled_from(["ops", "crew", "trainees"]), max_size=3),
        st.lists(st.sampled_from(["ops", "crew"]) | ODD, max_size=3),
    ),
    "purpose": (
        st.just("crew-planning"),
        st.sampled_from(["", "", "audit", "marketing", "payroll", 'a"']),
    ),
    "product": (st.just("reservations"), st.sampled_from(["loyalty", "Re\ns", ""])),
    "dataset": (st.sampled_from(["passengers", "routes"]), st.sampled_from(["wide", "crews", ""])),
    "consumer": (st.sampled_from(["user:ana", "team:ops"]), CONSUMERS),
    "role": (st.just("analyst"), st.just("auditor")),
    "agreed": (st.just("crew-planning"), st.just("audit")),
    "datasets": (st.just(DATASETS), st.sampled_from([("passengers",), ("routes",)])),
    "state": (st.just(AgreementState.ACTIVE), st.sampled_from(list(AgreementState))),
    "expires": (st.just(NOW + timedelta(days=9)), DAYS),
    "decided": (st.just(NOW - timedelta(days=1)), st.none() | DAYS),
}
WRONG: st.SearchStrategy[frozenset[str]] = st.just(frozenset()) | st.frozensets(
    st.sampled_from(sorted(RIGHT_AND_ANY)), min_size=1, max_size=3
)


@st.composite
def contracts(draw: st.DrawFn, held: Held) -> Contract:
    roles = (Role("analyst", row_filter=draw(st.none() | FILTERS)), Role("auditor"))
    columns = tuple(replace(one, name=f"c{n}") for n, one in enumerate(held("columns")))
    return Contract(
        domain=DOMAIN,
        product="reservations",
        version="1.0.0",
        contract_id="r",
        status=held("status"),
        title="",
        owners=(),
        purposes=held("purposes"),
        roles=roles[: held("roles")],
        datasets=(
            Dataset("passengers", "p.parquet", (PLAIN,)),
            Dataset("routes", "r.parquet", columns),
            WIDE,
        ),
        server=Server(".", "parquet"),
        residency=held("residency"),
        legal_basis=held("legal_basis"),
    )


@st.composite
def agreements(draw: st.DrawFn) -> Agreement:
    """One that allows, but for what is wrong with it alone."""
    held = draw(holding())
    return Agreement(
        id=draw(st.uuids(version=4)).hex,
        domain=DOMAIN,
        product="reservations",
        contract_version="1.0.0",
        consumer=held("consumer"),
        role=held("role"),
        purpose=held("agreed"),
        datasets=held("datasets"),
        justification="",
        requester="",
        state=held("state"),
        requested=draw(DAYS) - timedelta(days=4),
        expires=held("expires"),
        decided=held("decided"),
    )


@st.composite
def holding(draw: st.DrawFn) -> Held:
    wrong = draw(WRONG)
    return lambda name: draw(RIGHT_AND_ANY[name][name in wrong])


@st.composite
def cases(draw: st.DrawFn) -> Case:
    held = draw(holding())
    return Case(
        contracts=(draw(contracts(held)),),
        agreements=tuple(draw(st.lists(agreements(), max_size=5))),
        principal=Principal(held("kind"), held("subject"), tuple(held("teams"))),
        purpose=held("purpose"),
        product=held("product"),
        dataset=held("dataset"),
    )


@dataclass(frozen=True, slots=True)
class Agent:
    """The way an agent goes from a read to its decision, on the embedded engine."""

    policy: Policy
    decider: DatasetDecider

    def decide(self, case: Case) -> bytes:
        caller = Caller(case.principal, "mesh:domain:bookings", "j", NOW)
        context = ReadContext(caller, case.purpose, frozenset(), "")
        snapshot = Snapshot(
            revision=1,
            digest=b"",
            entries=MappingProxyType({}),
            contracts=MappingProxyType({one.product: one for one in case.contracts}),
            agreements=case.agreements,
            purposes=PURPOSES,
            policy=self.policy,
            keys=(),
        )
        try:
            purpose = require_purpose(context, snapshot)
            made = self.decider.decide(context, purpose, snapshot, case.product, case.dataset)
        except MeshError as refused:
            return canonical(decision_document(denial(refused.reason)))
        return canonical(decision_document(made.decided.decision))


@dataclass(frozen=True, slots=True)
class Lookup:
    """An OPA that has the bundle's modules, and gets its data for each case."""

    server: OpaServer

    def decide(self, case: Case) -> bytes:
        found = catalog(DOMAIN, case.contracts, case.agreements, PURPOSES)
        principal = case.principal
        asked = {
            "subject": {
                "kind": principal.kind.value,
                "id": principal.subject,
                "teams": list(principal.teams),
            },
            "purpose": case.purpose,
            "product": case.product,
            "dataset": case.dataset,
            "now": rfc3339(NOW),
        }
        self._send("PUT", "mesh_opa/catalog", go_json(found))
        answer = self._send("POST", "mesh_opa/access/decision", go_json({"input": asked}))
        return canonical(decision_document(parse_decision(json.loads(answer)["result"])))

    def _send(self, method: str, path: str, body: bytes) -> bytes:
        with closing(opa_address(self.server.url).connection(10)) as connection:
            headers = {"Content-Type": "application/json"}
            path = f"/v1/data/{path}?strict-builtin-errors=true"
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            answer = response.read()
            assert response.status in (200, 204), answer
            return answer


@dataclass(frozen=True, slots=True)
class Both:
    agent: Agent
    lookup: Lookup


@pytest.fixture(scope="module", params=["library", "layered"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Both]:
    modules = library()
    if request.param == "layered":
        modules |= {"organisation/rules.rego": ORGANISATION}
    policy = with_declarations(modules)
    folder = tmp_path_factory.mktemp("modules")
    for path, text in {**policy.modules, **shipped("opa").modules}.items():
        (folder / Path(path).parent).mkdir(exist_ok=True)
        (folder / path).write_text(text)
    engine = RegopyEngine()
    decider = Decider(engine, capacity=0)
    decider.load(policy)
    server = OpaServer(free_port(), (str(folder),))
    server.start()
    try:
        agent = Agent(policy, DatasetDecider(DOMAIN, f"opa:{DOMAIN}", decider, lambda: NOW))
        yield Both(agent, Lookup(server))
    finally:
        server.stop()
        engine.close()


@settings(max_examples=2 * FEW, deadline=None)
@given(case=cases())
def test_an_opa_decides_what_the_agent_decides(both: Both, case: Case) -> None:
    expected = both.agent.decide(case)
    target(float(json.loads(expected)["allow"]))

    assert both.lookup.decide(case) == expected


def test_an_agreement_whose_role_is_gone_is_passed_over_by_both(both: Both) -> None:
    """The first that allows nothing says why; what can't be tried says nothing."""
    roleless = Agreement(
        id="a",
        domain=DOMAIN,
        product="reservations",
        contract_version="1.0.0",
        consumer="user:ana",
        role="auditor",
        purpose="crew-planning",
        datasets=DATASETS,
        justification="",
        requester="",
        state=AgreementState.REVOKED,
        requested=NOW - timedelta(days=9),
        expires=NOW + timedelta(days=9),
    )
    case = Case(
        contracts=(
            Contract(
                domain=DOMAIN,
                product="reservations",
                version="1.0.0",
                contract_id="r",
                status="active",
                title="",
                owners=(),
                purposes=(),
                roles=(Role("analyst"),),
                datasets=(Dataset("passengers", "p.parquet", (PLAIN,)),),
                server=Server(".", "parquet"),
                residency="eu",
                legal_basis="contract",
            ),
        ),
        agreements=(roleless, replace(roleless, id="b", role="analyst")),
        principal=Principal(PrincipalKind.USER, "ana"),
        purpose="crew-planning",
        product="reservations",
        dataset="passengers",
    )
    expected = both.agent.decide(case)

    assert json.loads(expected)["reasons"] == ["agreement.revoked"]
    assert both.lookup.decide(case) == expected


def test_the_cases_reach_what_matters(both: Both) -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=800, deadline=None, database=None, derandomize=True)
    @given(case=cases())
    def collect(case: Case) -> None:
        decision = json.loads(both.agent.decide(case))
        seen.update(["allowed"] if decision["allow"] else decision["reasons"])
        seen.update(row["rule"] for row in decision["rows"])

    collect()

    assert {
        "allowed",
        "agreement.missing",
        "agreement.expired",
        "column.unclassified",
        "contract.inactive",
        "dataset.not_found",
        "dataset.uncovered",
        "library.role",
        "policy.error",
        "purpose.mismatch",
        "purpose.missing",
        "purpose.not_allowed",
        "purpose.unknown",
    } <= set(seen)
