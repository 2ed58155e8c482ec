"""One decision per dataset: which agreement a read rests on, or why none does."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from mesh.decisions.deciding import Decided, Decider
from mesh.decisions.inputs import DecisionInput, decision_input

from domain_agent.flight.ports import ReadContext
from domain_agent.snapshot.values import Snapshot
from mesh.agreements.matching import matching
from mesh.agreements.values import Agreement
from mesh.contracts.values import Contract, Dataset
from mesh.decisions.values import Mask
from mesh.errors import AgentNotReady, DatasetNotFound, PurposeMissing, PurposeUnknown


@dataclass(frozen=True, slots=True)
class DatasetDecision:
    """What was decided for one dataset, and everything it was decided from."""

    contract: Contract
    dataset: Dataset
    agreement: Agreement | None
    input: DecisionInput
    decided: Decided

    @property
    def masks(self) -> dict[str, Mask]:
        """The mask of every column, by name; empty when denied."""
        choices = self.decided.decision.masks
        return {
            column: choices[class_id].mask
            for column, class_id in self.input.classes.items()
            if class_id in choices
        }


def require_purpose(context: ReadContext, snapshot: Snapshot) -> str:
    """The read's purpose. Raises PurposeMissing or PurposeUnknown."""
    if not context.purpose:
        raise PurposeMissing(
            "the read names no purpose: send the header `x-mesh-purpose`, or use "
            "`mesh query --purpose`; `mesh purpose list` shows the registered ones"
        )
    if context.purpose not in snapshot.purposes:
        raise PurposeUnknown(
            f"purpose {context.purpose!r} is not registered; "
            "`mesh purpose list` shows the registered ones",
            purpose=context.purpose,
        )
    return context.purpose


class DatasetDecider:
    """Decides with one agreement after the other, and takes the first that allows."""

    def __init__(
        self, domain: str, agent: str, decider: Decider, now: Callable[[], datetime]
    ) -> None:
        self._domain, self._agent = domain, agent
        self._decider, self._now = decider, now

    def decide(
        self, context: ReadContext, purpose: str, snapshot: Snapshot, product: str, dataset: str
    ) -> DatasetDecision:
        """The first allowing decision, or the first denying one; evaluated by this snapshot."""
        contract = snapshot.contracts.get(product)
        found = contract.dataset(dataset) if contract is not None else None
        if contract is None or found is None:
            raise DatasetNotFound(
                f"{self._domain}.{product} has no dataset {dataset}; `mesh product list` shows all",
                product=f"{self._domain}.{product}",
                dataset=dataset,
            )
        candidates: list[Agreement | None] = list(
            matching(
                snapshot.agreements,
                context.caller.principal,
                self._domain,
                product,
                context.agreements,
            )
        )
        decisions = []
        for agreement in candidates or [None]:
            decision = self._evaluate(context, purpose, snapshot, contract, found, agreement)
            if decision.decided.decision.allow:
                return decision
            decisions.append(decision)
        return decisions[0]

    def _evaluate(
        self,
        context: ReadContext,
        purpose: str,
        snapshot: Snapshot,
        contract: Contract,
        dataset: Dataset,
        agreement: Agreement | None,
    ) -> DatasetDecision:
        document = decision_input(
            principal=context.caller.principal,
            purpose=purpose,
            now=self._now(),
            contract=contract,
            dataset=dataset.name,
            agreement=agreement,
            agent=(self._domain, self._agent),
        )
        decided = self._decider.decide(document)
        if decided.policy_digest != snapshot.policy.digest:
            raise AgentNotReady("the policy is being exchanged; try again")
        return DatasetDecision(contract, dataset, agreement, document, decided)
