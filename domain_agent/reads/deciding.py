"""One decision per dataset: which agreement a read rests on, or why none does."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from domain_agent.flight.ports import ReadContext
from domain_agent.snapshot.values import Snapshot
from mesh.agreements.matching import matching
from mesh.agreements.values import Agreement
from mesh.contracts.values import Contract, Dataset
from mesh.decisions.deciding import Decided, Decider
from mesh.decisions.inputs import DecisionInput, ReadRequest, decision_input
from mesh.errors import (
    AgentNotReady,
    DatasetNotFound,
    PolicyError,
    PurposeMissing,
    PurposeUnknown,
)
from mesh.identity.principal import Caller
from mesh.identity.tokens import LEEWAY


@dataclass(frozen=True, slots=True)
class DatasetDecision:
    """What was decided for one dataset, and everything it was decided from."""

    contract: Contract
    dataset: Dataset
    agreement: Agreement | None
    input: DecisionInput
    decided: Decided


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


def valid_until(caller: Caller, decisions: Iterable[DatasetDecision]) -> datetime:
    """The end of the token, or what the policy returned, whichever comes first."""
    ends = [caller.expires + LEEWAY]
    ends += [until for d in decisions if (until := d.decided.decision.valid_until) is not None]
    return min(ends)


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
        request = ReadRequest(
            context.caller.principal, purpose, self._now(), self._domain, self._agent
        )
        decisions: list[DatasetDecision] = []
        failures: list[PolicyError] = []
        for agreement in candidates or [None]:
            try:
                document = decision_input(request, contract, dataset, agreement)
            except PolicyError as failure:
                failures.append(failure)
                continue
            decided = self._decider.decide(document)
            if decided.policy_digest != snapshot.policy.digest:
                raise AgentNotReady("the policy is being exchanged; try again")
            decision = DatasetDecision(contract, found, agreement, document, decided)
            if decided.decision.allow:
                return decision
            decisions.append(decision)
        if not decisions:
            raise failures[0]
        return decisions[0]
