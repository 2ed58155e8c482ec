"""regopy, OPA and the oracle give the same decision document, byte for byte."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings, target
from hypothesis import strategies as st

from mesh.decisions.deciding import Decider
from mesh.decisions.documents import decision_document
from mesh.decisions.engines import Engine
from mesh.decisions.inputs import DecisionInput
from mesh.decisions.layers import with_declarations
from mesh.decisions.opa_engine import OpaEngine
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.evidence.canonical import canonical
from tests.differential.opa_server import running_opa
from tests.differential.oracle import MILDEST_FIRST, Stated, decide
from tests.unit.decisions.examples import library, library_policy

# 100, or what the profile says: `pytest --hypothesis-profile NAME`.
FEW = settings().max_examples

ORGANISATION = """package mesh.organisation

require["organisation.residency"] if input.product.residency == "eu"

require["organisation.legal_basis"] if input.product.legal_basis in {"contract", "consent"}

masks contains {"rule": "organisation.contact", "class": class.id, "mask": "pseudonym"} if {
	some class in input.dataset.classes
	class.category == "contact"
}

rows contains {"rule": "organisation.eu", "filter": filter} if {
	input.purpose != "crew-planning"
	filter := {"column": "country", "op": "ne", "value": "US"}
}

limits contains {"rows": 1000}

limits contains {"rows": 9} if "trainees" in input.subject.teams

limits contains {"group": 5} if input.purpose == "audit"

valid_until contains "2026-11-25T00:00:00Z" if input.now < "2026-11-25T00:00:00Z"
"""

DOMAIN = """package mesh.domain

require["domain.known_agent"] if startswith(input.agent.id, "bookings-")

masks contains {"rule": "domain.pii", "class": class.id, "mask": "null"} if {
	some class in input.dataset.classes
	"pii" in class.tags
}

limits contains {"group": 20} if "crew" in input.subject.teams
"""


def layered_policy() -> Policy:
    return with_declarations(
        library() | {"organisation/rules.rego": ORGANISATION, "domain/bookings.rego": DOMAIN}
    )


def stated(document: dict[str, Any]) -> Stated:
    """What the two layers above state, in plain Python."""
    product, classes = document["product"], document["dataset"]["classes"]
    return Stated(
        required={
            "organisation.residency": product["residency"] == "eu",
            "organisation.legal_basis": product["legal_basis"] in ("contract", "consent"),
            "domain.known_agent": document["agent"]["id"].startswith("bookings-"),
        },
        masks=[
            ("organisation.contact", c["id"], "pseudonym")
            for c in classes
            if c["category"] == "contact"
        ]
        + [("domain.pii", c["id"], "null") for c in classes if "pii" in c["tags"]],
        rows=[
            {
                "rule": "organisation.eu",
                "filter": {"column": "country", "op": "ne", "value": "US"},
            }
        ]
        if document["purpose"] != "crew-planning"
        else [],
        limits=[{"rows": 1000}]
        + ([{"rows": 9}] if "trainees" in document["subject"]["teams"] else [])
        + ([{"group": 5}] if document["purpose"] == "audit" else [])
        + ([{"group": 20}] if "crew" in document["subject"]["teams"] else []),
        valid_until=["2026-11-25T00:00:00Z"] if document["now"] < "2026-11-25T00:00:00Z" else [],
    )


PEOPLE = st.sampled_from(["bea", "ops", "an", "ana "]) | st.text(max_size=6)
TEAMS = st.lists(
    st.sampled_from(["ops", "crew", "trainees"]) | st.text(max_size=4), max_size=3
).map(lambda teams: ["ops", *teams])
RUNNING = st.sampled_from(
    ["2026-11-01T00:00:00Z", "2026-11-24T22:00:00Z", "2026-11-25T00:00:00Z", "2026-11-30T23:59:59Z"]
)
ENDED = st.sampled_from(["2026-10-31T23:59:59Z", "2026-12-01T00:00:00Z", "2027-06-01T12:00:00Z"])
MALFORMED = st.sampled_from(
    ["", "now", "2026-11-24", "2026-11-24T22:00:00+00:00", "2026-11-24T22:00:00.5Z", "9" * 20]
)
VALUES = st.one_of(
    st.text(max_size=8),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.booleans(),
    st.floats(-1e6, 1e6).map(lambda number: round(number, 3)),
)
COMPARISONS = st.fixed_dictionaries(
    {"column": st.sampled_from(["origin", "country"]), "op": st.just("eq"), "value": VALUES}
) | st.fixed_dictionaries(
    {
        "column": st.just("origin"),
        "op": st.just("in"),
        "value": st.lists(st.text(max_size=4), min_size=1, max_size=3),
    }
)
FILTERS = st.recursive(
    COMPARISONS,
    lambda inner: st.one_of(
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"and": parts}),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: {"or": parts}),
        inner.map(lambda part: {"not": part}),
    ),
    max_leaves=4,
)
KNOWN_CLASSES = st.fixed_dictionaries(
    {
        "classification": st.sampled_from(["public", "internal", "confidential", "restricted"]),
        "category": st.sampled_from([None, "contact", "identity"]),
        "tags": st.sampled_from([[], [], [], ["pii"], ["gdpr"], ["gdpr", "pii"]]),
        "mask": st.sampled_from([None, None, *MILDEST_FIRST]),
    }
)
ANY_CLASSES = st.lists(
    KNOWN_CLASSES
    | st.builds(
        lambda known, wrong: known | wrong,
        KNOWN_CLASSES,
        st.sampled_from([{"classification": "secret"}, {"mask": "blur"}]),
    ),
    max_size=4,
)

# What a field holds in a read that is allowed, and what it may hold where something is wrong.
RIGHT_AND_ANY: dict[str, tuple[st.SearchStrategy[Any], st.SearchStrategy[Any]]] = {
    "action": (st.just("read"), st.sampled_from(["write", ""])),
    "now": (RUNNING, ENDED | MALFORMED),
    "purpose": (st.sampled_from(["audit", "crew-planning"]), st.just("marketing")),
    "kind": (st.just("user"), st.sampled_from(["service", "agent", "team"])),
    "id": (st.just("ana"), PEOPLE),
    "agent": (st.just("bookings-1"), st.sampled_from(["x", ""])),
    "status": (st.sampled_from(["active", "deprecated"]), st.sampled_from(["retired", ""])),
    "purposes": (st.sampled_from([[], ["audit", "crew-planning"]]), st.just(["payroll"])),
    "residency": (st.just("eu"), st.sampled_from([None, "us"])),
    "legal_basis": (st.sampled_from(["contract", "consent"]), st.sampled_from([None, "other"])),
    "classes": (st.lists(KNOWN_CLASSES, min_size=1, max_size=8), ANY_CLASSES),
    "consumer": (
        st.sampled_from(["user:ana", "team:ops"]),
        st.sampled_from(["service:ana", "agent:ana", "team:crew", "user:bea", "user:", ""]),
    ),
    "domain": (st.just("bookings"), st.just("fleet")),
    "product": (st.just("reservations"), st.just("loyalty")),
    "other_purpose": (st.just(False), st.just(True)),
    "datasets": (
        st.sampled_from([["passengers"], ["passengers", "routes"]]),
        st.sampled_from([["routes"], []]),
    ),
    "state": (st.just("active"), st.sampled_from(["expired", "revoked", "requested", ""])),
    "agreed": (st.just(True), st.just(False)),
}

WRONG = st.sampled_from(sorted(RIGHT_AND_ANY))


@st.composite
def inputs(draw: st.DrawFn) -> dict[str, Any]:
    """A read that is allowed, but for at most three fields."""
    wrong = draw(st.just(set()) | st.sets(WRONG, min_size=1, max_size=3))
    held = {name: draw(pair[name in wrong]) for name, pair in RIGHT_AND_ANY.items()}
    agreement = {
        "id": "a-1",
        "consumer": held["consumer"],
        "domain": held["domain"],
        "product": held["product"],
        "purpose": "payroll" if held["other_purpose"] else held["purpose"],
        "role": "analyst",
        "datasets": held["datasets"],
        "state": held["state"],
        "start": "2026-11-01T00:00:00Z",
        "until": "2026-12-01T00:00:00Z",
        "row_filter": draw(st.none() | FILTERS),
    }
    return {
        "action": held["action"],
        "now": held["now"],
        "purpose": held["purpose"],
        "subject": {"kind": held["kind"], "id": held["id"], "teams": draw(TEAMS)},
        "agent": {"domain": "bookings", "id": held["agent"]},
        "product": {
            "domain": "bookings",
            "name": "reservations",
            "version": "1.0.0",
            "status": held["status"],
            "purposes": held["purposes"],
            "residency": held["residency"],
            "legal_basis": held["legal_basis"],
        },
        "dataset": {
            "name": "passengers",
            "classes": [{"id": f"c{n}", **class_} for n, class_ in enumerate(held["classes"])],
        },
        "agreement": agreement if held["agreed"] else None,
    }


@dataclass
class Witnesses:
    """The engines with one policy: regopy, OPA over TCP, and OPA over a Unix socket."""

    deciders: tuple[Decider, ...]

    def decide(self, document: dict[str, Any]) -> set[bytes]:
        """The decision documents they give: one, when they agree."""
        asked = DecisionInput(document, {})
        return {
            canonical(decision_document(decider.decide(asked).decision))
            for decider in self.deciders
        }


@pytest.fixture(scope="module")
def opa_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, ...]]:
    unix = tmp_path_factory.mktemp("opa") / "s"
    with running_opa() as over_tcp, running_opa(unix) as over_unix:
        yield over_tcp.url, over_unix.url


def witnesses(policy: Policy, urls: tuple[str, ...], instance: str) -> Iterator[Witnesses]:
    engines: list[Engine] = [RegopyEngine()]
    engines += [OpaEngine(url, deadline=0.5, instance=instance) for url in urls]
    deciders = [Decider(engine, capacity=0) for engine in engines]
    for decider in deciders:
        decider.load(policy)
    yield Witnesses(tuple(deciders))
    for engine in engines:
        engine.close()


@pytest.fixture(scope="module")
def plain(opa_urls: tuple[str, ...]) -> Iterator[Witnesses]:
    yield from witnesses(library_policy(), opa_urls, "plain")


@pytest.fixture(scope="module")
def layered(opa_urls: tuple[str, ...]) -> Iterator[Witnesses]:
    yield from witnesses(layered_policy(), opa_urls, "layered")


@settings(max_examples=3 * FEW, deadline=None)
@given(document=inputs())
def test_the_library_decides_alike(plain: Witnesses, document: dict[str, Any]) -> None:
    expected = decide(document)
    target(float(expected["allow"]))

    assert plain.decide(document) == {canonical(expected)}


@settings(max_examples=2 * FEW, deadline=None)
@given(document=inputs())
def test_layers_decide_alike(layered: Witnesses, document: dict[str, Any]) -> None:
    expected = decide(document, stated(document))
    target(float(expected["allow"]))

    assert layered.decide(document) == {canonical(expected)}


def test_the_inputs_reach_every_reason_and_every_mask() -> None:
    seen: Counter[str] = Counter()

    @settings(max_examples=2500, deadline=None, database=None, derandomize=True)
    @given(document=inputs())
    def collect(document: dict[str, Any]) -> None:
        for decision in (decide(document), decide(document, stated(document))):
            seen.update(decision["reasons"])
            seen.update(choice["mask"] for choice in decision["masks"].values())
            seen.update(row["rule"] for row in decision["rows"])
            seen.update(f"{name} {limit}" for name, limit in decision["limits"].items())

    collect()

    assert set(seen) == {
        "agreement.expired",
        "agreement.missing",
        "agreement.revoked",
        "column.unclassified",
        "contract.inactive",
        "dataset.uncovered",
        "policy.error",
        "purpose.mismatch",
        "purpose.not_allowed",
        "organisation.residency",
        "organisation.legal_basis",
        "domain.known_agent",
        "library.role",
        "organisation.eu",
        "rows 9",
        "rows 1000",
        "group 5",
        "group 20",
        *MILDEST_FIRST,
    }
