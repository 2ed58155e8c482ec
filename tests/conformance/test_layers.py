"""A layer's requirement denies whatever keeps it from being true, on both engines alike."""

from collections.abc import Iterator

import pytest

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
from tests.unit.decisions.examples import agreement, library, reading

PATH = "organisation/rules.rego"


@pytest.fixture(scope="module")
def opa_url() -> Iterator[str]:
    with running_opa() as server:
        yield server.url


@pytest.fixture(params=["regopy", "opa"])
def engine(request: pytest.FixtureRequest, opa_url: str) -> Iterator[Engine]:
    made: Engine = RegopyEngine() if request.param == "regopy" else OpaEngine(opa_url, deadline=0.5)
    yield made
    made.close()


def decision(engine: Engine, layer: str, **changed: object) -> dict[str, object]:
    """The decision on a read that the library allows, with an organisation's layer."""
    text = f"package mesh.organisation\n\n{layer}\n"
    decider = Decider(engine, capacity=0)
    decider.load(with_declarations(library() | {PATH: text}))
    return decision_document(decider.decide(DecisionInput(reading(**changed), {})).decision)


def reasons(engine: Engine, layer: str, **changed: object) -> object:
    return decision(engine, layer, **changed)["reasons"]


def test_a_requirement_that_is_true_allows(engine: Engine) -> None:
    assert reasons(engine, 'require["organisation.eu"] if input.product.residency == "eu"') == []


def test_a_requirement_that_is_false_denies(engine: Engine) -> None:
    layer = 'require["organisation.us"] if input.product.residency == "us"'

    assert reasons(engine, layer) == ["organisation.us"]


def test_a_missing_input_field_denies(engine: Engine) -> None:
    layer = 'require["organisation.cleared"] if input.subject.clearance != "none"'

    assert reasons(engine, layer) == ["organisation.cleared"]


def test_an_undefined_rule_denies(engine: Engine) -> None:
    layer = 'require["organisation.open"] if opened\n\nopened if input.product.residency == "us"'

    assert reasons(engine, layer) == ["organisation.open"]


def test_a_failing_built_in_denies(engine: Engine) -> None:
    layer = 'require["organisation.number"] if to_number(input.purpose) >= 0'

    assert reasons(engine, layer) == ["policy.error"]


def test_a_requirement_that_is_anything_but_true_denies(engine: Engine) -> None:
    layer = 'require["organisation.odd"] := "true" if input.purpose'

    assert reasons(engine, layer) == ["organisation.odd"]


def test_no_layer_can_meet_what_the_library_requires(engine: Engine) -> None:
    """Past what is checked when a policy is loaded: the library itself keeps the layers apart."""
    modules = library() | {
        PATH: 'package mesh.organisation\n\nrequire["agreement.missing"] if true\n',
        "declared.rego": 'package mesh.declared\n\nrequirements := ["agreement.missing"]\n',
    }
    engine.load(Policy(modules))

    value = engine.evaluate(canonical(reading(agreement=None)))

    assert isinstance(value, dict)
    assert (value["allow"], value["reasons"]) == (False, ["agreement.missing"])


def test_what_is_required_but_not_declared_denies(engine: Engine) -> None:
    modules = library() | {
        PATH: 'package mesh.organisation\n\nrequire["organisation.a"] if true\n',
    }
    engine.load(Policy(modules))

    value = engine.evaluate(canonical(reading()))

    assert isinstance(value, dict)
    assert (value["allow"], value["reasons"]) == (False, ["policy.error"])


def test_the_strictest_mask_every_filter_and_the_strictest_limits_count(engine: Engine) -> None:
    made = decision(
        engine,
        """
masks contains {"rule": "organisation.all", "class": class.id, "mask": "constant"} if {
	some class in input.dataset.classes
}

rows contains {"rule": "organisation.jfk", "filter": {"column": "a", "op": "eq", "value": 1}}

limits contains {"rows": 1000}

limits contains {"rows": 9}

limits contains {"group": 5}

limits contains {"group": 10}

valid_until contains "2026-11-25T00:00:00Z"
""",
        agreement=agreement(row_filter={"column": "b", "op": "is_null", "value": False}),
    )

    masks = made["masks"]
    assert isinstance(masks, dict)
    assert {id_: choice["mask"] for id_, choice in masks.items()} == {
        "c0": "constant",
        "c1": "null",
        "c2": "constant",
        "c3": "constant",
        "c4": "constant",
        "c5": "drop",
    }
    assert masks["c1"]["rules"] == ["library.undeclared"]
    assert masks["c2"]["rules"] == ["organisation.all"]
    assert made["rows"] == [
        {"rule": "library.role", "filter": {"column": "b", "op": "is_null", "value": False}},
        {"rule": "organisation.jfk", "filter": {"column": "a", "op": "eq", "value": 1}},
    ]
    assert made["limits"] == {"rows": 9, "group": 10}
    assert made["valid_until"] == "2026-11-25T00:00:00Z"


@pytest.mark.parametrize(
    "statement",
    [
        'masks contains {"rule": "organisation.a", "class": "c0", "mask": "blur"}',
        'masks contains {"rule": "organisation.a", "class": "c9", "mask": "null"}',
        'masks contains {"rule": "library.a", "class": "c0", "mask": "null"}',
        'masks contains {"rule": "organisation.a", "class": "c0"}',
        'masks contains "c0"',
        'rows contains {"rule": "organisation.a"}',
        'rows contains {"rule": "organisation.a", "filter": "origin = 1"}',
        'rows contains {"rule": "organisation.a", "filter": {"column": "a"}}',
        'limits contains {"rows": 0}',
        'limits contains {"rows": "9"}',
        'limits contains {"bytes": 9}',
        'limits contains {"group": 1}',
        'limits contains {"group": 2.5}',
        'limits contains {"group": "9"}',
        'limits contains {"group": 1000000000}',
        'limits contains {"group": 9, "rows": 9}',
        "limits contains 9",
        'valid_until contains "soon"',
        "valid_until contains 9",
    ],
)
def test_what_can_not_be_applied_denies(engine: Engine, statement: str) -> None:
    assert reasons(engine, statement) == ["policy.error"]
