"""What a company starts with passes every check, and decides alike on both engines."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.decisions.checking import check_layer
from mesh.decisions.checks import Outcome
from mesh.decisions.layers import LAYERS, with_declarations
from mesh.decisions.policy import Policy
from mesh.decisions.samples import Sample, samples
from mesh.decisions.shipped import shipped, starter
from tests.differential.opa_server import running_opa
from tests.differential.test_decisions import FEW, Witnesses, inputs, witnesses
from tests.unit.decisions.examples import library, library_policy
from tests.unit.decisions.layers import OPA

CATEGORIES = st.sampled_from([None, None, "health", "contact", "identity", "genome"])
PURPOSES = st.sampled_from(["accounting", "audit", "care", "planning", "planning", "safety"])
TEAMS = st.lists(st.sampled_from(["analysts", "data-protection", "ops", "trainees"]), unique=True)
HOURS = st.sampled_from(["00:00:00", "05:59:59", "06:00:00", "12:00:00", "20:00:00", "23:59:59"])
DAYS = st.sampled_from(["2026-11-23", "2026-11-24", "2026-11-27", "2026-11-28", "2026-11-29"])


def both() -> Policy:
    """The library with both starting layers."""
    layers = {f"{layer}/{path}": t for layer in LAYERS for path, t in starter(layer).items()}
    return with_declarations(
        library() | {path: t for path, t in layers.items() if not path.endswith("_test.rego")}
    )


def usual() -> dict[str, Any]:
    """A read that is allowed."""
    return dict(samples()[0].document)


@pytest.fixture(scope="module")
def started() -> Iterator[Witnesses]:
    with running_opa() as server:
        yield from witnesses(both(), (server.url,), "started")


@st.composite
def reads(draw: st.DrawFn) -> dict[str, Any]:
    """Inputs that reach what the starting rules look at."""
    document = draw(inputs() | st.builds(usual))
    purpose = draw(PURPOSES)
    categories = draw(st.lists(CATEGORIES, min_size=1, max_size=2))
    classes = [
        class_
        | {
            "category": draw(st.sampled_from(categories)),
            "tags": draw(st.sampled_from([[], ["sensitive"]])),
        }
        for class_ in document["dataset"]["classes"]
    ]
    name = draw(st.sampled_from(["passengers", "incidents"]))
    agreement = document["agreement"]
    if agreement is not None:
        teams = {"consumer": "team:ops", "purpose": purpose, "datasets": [name]}
        agreement = agreement | teams
    subject = document["subject"] | {"teams": sorted({"ops", *draw(TEAMS)})}
    return document | {
        "now": f"{draw(DAYS)}T{draw(HOURS)}Z",
        "purpose": purpose,
        "subject": subject,
        "product": document["product"] | {"purposes": []},
        "dataset": {"name": name, "classes": classes},
        "agreement": agreement,
    }


@pytest.mark.parametrize("layer", LAYERS)
def test_it_passes_every_check_with_all_of_it_covered(layer: str) -> None:
    report = check_layer(layer, starter(layer), library_policy(), OPA, 100)
    assert [check for check in report.checks if check.outcome is not Outcome.PASSED] == []
    assert report.passed
    assert report.coverage == 100


@settings(max_examples=2 * FEW, deadline=None)
@given(document=reads())
def test_it_decides_alike_on_both_engines(started: Witnesses, document: dict[str, Any]) -> None:
    assert len(started.decide(document)) == 1


@pytest.mark.parametrize("sample", samples(), ids=[sample.words for sample in samples()])
def test_samples_are_decided_alike(started: Witnesses, sample: Sample) -> None:
    (decided,) = started.decide(dict(sample.document))
    assert b"policy.error" not in decided


def test_reads_reach_every_rule(started: Witnesses) -> None:
    seen = b""
    every = itertools.product(
        ("audit", "care", "planning"),
        (None, "health", "contact"),
        ("passengers", "incidents"),
        ("06:00:00", "23:59:59"),
        (["ops"], ["analysts", "trainees"]),
        ("eu", "us"),
    )
    for purpose, category, name, hour, teams, residency in every:
        document = usual()
        classes = [class_ | {"category": category} for class_ in document["dataset"]["classes"]]
        classes[1]["tags"] = ["sensitive"]
        document |= {
            "now": f"2026-11-24T{hour}Z",
            "purpose": purpose,
            "subject": document["subject"] | {"teams": teams},
            "product": document["product"] | {"purposes": [], "residency": residency},
            "dataset": {"name": name, "classes": classes},
            "agreement": document["agreement"] | {"purpose": purpose, "datasets": [name]},
        }
        (decided,) = started.decide(document)
        seen += decided
    for rule in (
        "organisation.restricted",
        "organisation.health",
        "organisation.purpose_limitation",
        "organisation.residency",
        "organisation.working_hours",
        "domain.sensitive",
        "domain.purpose",
        "domain.closed",
        '"rows":100000}',
        '"rows":1000}',
    ):
        assert rule.encode() in seen, rule


def test_the_library_is_the_one_that_ships() -> None:
    assert shipped("library") == library_policy()
