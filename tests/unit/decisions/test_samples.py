"""The reads on which layers are tried are of a wide range, and the library decides each well."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from mesh.decisions.documents import parse_decision
from mesh.decisions.inputs import MAX_CLASSES
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.decisions.samples import Sample, samples
from mesh.decisions.shipped import input_schema
from mesh.evidence.canonical import canonical
from tests.unit.decisions.examples import library_policy

ALL = samples()


def all_of(*path: str) -> list[Any]:
    """Every value at a path of the inputs."""
    values: list[Any] = [sample.document for sample in ALL]
    for name in path:
        values = [value[name] for value in values if value is not None]
    return values


def classes(field: str) -> set[Any]:
    return {class_[field] for listed in all_of("dataset", "classes") for class_ in listed}


@pytest.fixture(scope="module")
def engine() -> Iterator[RegopyEngine]:
    engine = RegopyEngine()
    engine.load(library_policy())
    yield engine
    engine.close()


@pytest.mark.parametrize("sample", ALL, ids=[sample.words for sample in ALL])
def test_each_is_an_input_that_the_library_decides(sample: Sample, engine: RegopyEngine) -> None:
    schema = json.loads(input_schema())
    nullable = {"anyOf": [{"type": "null"}, schema["properties"]["agreement"]]}
    schema["properties"]["agreement"] = nullable
    jsonschema_rs.validator_for(schema).validate(json.loads(canonical(sample.document)))
    decision = parse_decision(engine.evaluate(canonical(sample.document)))
    assert "policy.error" not in decision.reasons
    denied = "without" in sample.words or "expired" in sample.words or "revoked" in sample.words
    assert decision.allow is not denied


def test_they_are_of_a_wide_range() -> None:
    assert len(ALL) >= 12
    assert len({sample.words for sample in ALL}) == len(ALL)
    assert classes("classification") == {"public", "internal", "confidential", "restricted"}
    assert None in classes("category")
    assert None in classes("mask")
    assert len(classes("mask")) == 8
    assert set(all_of("subject", "kind")) == {"user", "service", "agent"}
    assert None in all_of("agreement")
    assert set(all_of("agreement", "state")) == {"active", "expired", "revoked"}
    assert set(all_of("product", "residency")) >= {None, "eu", "us"}
    assert max(len(listed) for listed in all_of("dataset", "classes")) == MAX_CLASSES
