"""A stored decision is made again from its stored input."""

import json
from collections.abc import Mapping

from mesh.decisions.deciding import Decider
from mesh.decisions.documents import decision_document
from mesh.decisions.inputs import DecisionInput
from mesh.decisions.policy import Policy
from mesh.decisions.recompute import recompute
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.evidence.canonical import canonical
from tests.unit.decisions.examples import agreement, library, library_policy, reading


def stored(document: Mapping[str, object]) -> tuple[dict[str, object], dict[str, object]]:
    """Input and decision as evidence keeps them: through their canonical bytes."""
    engine = RegopyEngine()
    try:
        decider = Decider(engine)
        decider.load(library_policy())
        decided = decider.decide(DecisionInput(document, {}))
    finally:
        engine.close()
    kept: tuple[dict[str, object], dict[str, object]] = (
        json.loads(canonical(decided.document)),
        json.loads(canonical(decision_document(decided.decision))),
    )
    return kept


def test_a_stored_decision_is_made_again_bit_for_bit() -> None:
    document, decision = stored(reading())
    assert decision["allow"] is True

    again = recompute(document, decision, library_policy())

    assert again.equal
    assert again.recomputed == again.stored == canonical(decision)


def test_a_changed_decision_is_told_apart() -> None:
    document, decision = stored(reading())
    masks = decision["masks"]
    assert isinstance(masks, dict)
    masks["c0"]["mask"] = "clear"

    again = recompute(document, decision, library_policy())

    assert not again.equal
    assert b'"mask":"clear"' in again.stored
    assert again.recomputed != again.stored


def test_a_changed_input_is_told_apart() -> None:
    document, decision = stored(reading())

    again = recompute(
        document | {"agreement": agreement(state="revoked")}, decision, library_policy()
    )

    assert not again.equal
    assert json.loads(again.recomputed)["reasons"] == ["agreement.revoked"]


def test_another_policy_is_told_apart() -> None:
    document, decision = stored(reading())
    stricter = library() | {
        "library/access.rego": library()["library/access.rego"].replace(
            '{"active", "deprecated"}', '{"deprecated"}'
        )
    }

    again = recompute(document, decision, Policy(stricter))

    assert json.loads(again.recomputed)["reasons"] == ["contract.inactive"]
