"""Decisions as evidence holds them; one that is remembered is written out once."""

import threading
from collections import OrderedDict
from dataclasses import dataclass

from domain_agent.reads.deciding import DatasetDecision
from mesh.contracts.values import Dataset
from mesh.decisions.deciding import Decided
from mesh.decisions.documents import decision_document
from mesh.evidence.canonical import canonical


@dataclass(frozen=True, slots=True)
class DecisionText:
    """In canonical JSON: what is open of a decision, and its input, which names the reader."""

    decision: bytes
    input: bytes


@dataclass(frozen=True, slots=True)
class _Written:
    # Held, so that no other object can get the ids that this one is remembered by.
    decided: Decided
    dataset: Dataset
    text: DecisionText


class DecisionTexts:
    """Thread-safe. A decision that comes from the decider's memory is the same object each time."""

    def __init__(self, engine: str, capacity: int = 1_000) -> None:
        self._engine, self._capacity = engine, capacity
        self._written: OrderedDict[tuple[int, int], _Written] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, made: DatasetDecision) -> DecisionText:
        """The texts of a decision."""
        if not made.decided.cached:
            return self._write(made)
        key = (id(made.decided), id(made.dataset))
        with self._lock:
            written = self._written.get(key)
        if written is not None:
            return written.text
        text = self._write(made)
        with self._lock:
            self._written[key] = _Written(made.decided, made.dataset, text)
            while len(self._written) > self._capacity:
                self._written.popitem(last=False)
        return text

    def _write(self, made: DatasetDecision) -> DecisionText:
        choices = made.decided.decision.masks
        document = {
            "product": made.contract.name,
            "dataset": made.dataset.name,
            "agreement": made.agreement.id if made.agreement is not None else None,
            "contract_version": made.contract.version,
            "decision": decision_document(made.decided.decision),
            "policy_digest": made.decided.policy_digest,
            "engine": self._engine,
            "columns": [
                {
                    "column": column.name,
                    "classification": column.classification.value,
                    "category": column.category,
                    "mask": choice.mask.value,
                    "rules": list(choice.rules),
                }
                for column in made.dataset.columns
                if (choice := choices.get(made.input.classes[column.name])) is not None
            ],
        }
        return DecisionText(canonical(document), canonical(made.decided.document))
