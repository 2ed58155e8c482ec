"""A stored decision, decided once more from its stored input, by a fresh engine."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mesh.decisions.deciding import Decider
from mesh.decisions.documents import decision_document
from mesh.decisions.engines import Engine
from mesh.decisions.inputs import DecisionInput
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.evidence.canonical import canonical


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The canonical bytes of the decision as stored and as made again."""

    stored: bytes
    recomputed: bytes

    @property
    def equal(self) -> bool:
        return self.stored == self.recomputed


def recompute(
    document: Mapping[str, object],
    decision: Mapping[str, object],
    policy: Policy,
    make_engine: Callable[[], Engine] = RegopyEngine,
) -> Recomputed:
    """Decide a stored input again. Raises PolicyInvalid when the policy no longer loads."""
    engine = make_engine()
    try:
        decider = Decider(engine, capacity=0)
        decider.load(policy)
        again = decider.decide(DecisionInput(document, {})).decision
    finally:
        engine.close()
    return Recomputed(canonical(decision), canonical(decision_document(again)))
