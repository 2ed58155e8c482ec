"""What somebody would get, by what is in force or by a revision that is not: nothing is read."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from control_plane.contracts import store as contracts
from control_plane.database import Database, Transaction
from control_plane.policies import store
from control_plane.policies.rules import PolicyRevision
from mesh.agreements.matching import matching
from mesh.agreements.values import Agreement
from mesh.contracts.values import Contract, Dataset
from mesh.decisions.deciding import Decider
from mesh.decisions.documents import decision_document
from mesh.decisions.inputs import DecisionInput, ReadRequest, decision_input
from mesh.decisions.layers import requirements
from mesh.decisions.metadata import sentences
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.decisions.values import Decision
from mesh.errors import ContractNotFound, DatasetNotFound, PolicyNotFound
from mesh.evidence.canonical import canonical
from mesh.identity.principal import Principal
from mesh.v1 import policies_pb2

# What an agreement says is no reason while there is none.
_OF_AGREEMENTS = frozenset(
    {"agreement.expired", "agreement.revoked", "dataset.uncovered", "purpose.mismatch"}
)
# The agreements that a domain's agents know.
Agreements = Callable[[Transaction, str], Sequence[Agreement]]


@dataclass(frozen=True, slots=True)
class Supposed:
    """A read that nobody makes; an empty dataset means each of the product's."""

    principal: Principal
    domain: str
    product: str
    dataset: str
    purpose: str
    time: datetime


class Supposing:
    """Decides with an engine of its own, one question at a time."""

    def __init__(self, database: Database, agreements: Agreements) -> None:
        self._database, self._agreements = database, agreements
        self._turn = threading.Lock()

    def outcomes(
        self, wanted: Supposed, candidate: PolicyRevision | None
    ) -> policies_pb2.DecideForResponse:
        """What each dataset's read would get. Raises what a reader would be told."""
        with self._database.reading() as tx:
            contract = self._contract(tx, wanted)
            policy = (
                store.in_force(tx, wanted.domain)
                if candidate is None
                else store.would_be(tx, wanted.domain, "", candidate)
            )
            known = self._agreements(tx, wanted.domain)
        if policy is None:
            raise PolicyNotFound("no policy is in force yet")
        fitting = matching(known, wanted.principal, wanted.domain, wanted.product)
        with self._turn:
            found = list(_decided(wanted, contract, fitting, policy))
        return policies_pb2.DecideForResponse(outcomes=found, policy_digest=policy.digest)

    def _contract(self, tx: Transaction, wanted: Supposed) -> Contract:
        published = contracts.find(tx, wanted.domain, wanted.product, "")
        name = f"{wanted.domain}.{wanted.product}"
        if published is None:
            raise ContractNotFound(
                f"there is no {name}; `mesh product list` shows what is published", product=name
            )
        if wanted.dataset and published.contract.dataset(wanted.dataset) is None:
            raise DatasetNotFound(f"{name} has no dataset {wanted.dataset}", product=name)
        return published.contract


def _decided(
    wanted: Supposed, contract: Contract, fitting: Sequence[Agreement], policy: Policy
) -> Iterator[policies_pb2.DatasetOutcome]:
    told = sentences(policy.modules.values())
    ids = sorted({id_ for text in policy.modules.values() for _, id_ in requirements(text)})
    engine = RegopyEngine()
    try:
        decider = Decider(engine, capacity=0)
        decider.load(policy)
        for dataset in contract.datasets:
            if wanted.dataset in ("", dataset.name):
                agreement, asked, decision = _first(wanted, contract, dataset, fitting, decider)
                yield policies_pb2.DatasetOutcome(
                    dataset=dataset.name,
                    agreement=agreement.id if agreement is not None else "",
                    input=canonical(asked.document),
                    decision=canonical(decision_document(decision)),
                    requirements=_requirements(ids, decision, told),
                    columns=_columns(dataset, asked, decision),
                )
    finally:
        engine.close()


def _first(
    wanted: Supposed,
    contract: Contract,
    dataset: Dataset,
    fitting: Sequence[Agreement],
    decider: Decider,
) -> tuple[Agreement | None, DecisionInput, Decision]:
    """The first decision that allows, else the first: as agents do it."""
    request = ReadRequest(
        wanted.principal, wanted.purpose, wanted.time, wanted.domain, f"{wanted.domain}-1"
    )
    made: list[tuple[Agreement | None, DecisionInput, Decision]] = []
    candidates: Sequence[Agreement | None] = fitting or [None]
    for agreement in candidates:
        asked = decision_input(request, contract, dataset.name, agreement)
        made.append((agreement, asked, decider.decide(asked).decision))
        if made[-1][2].allow:
            return made[-1]
    return made[0]


def _requirements(
    ids: Sequence[str], decision: Decision, told: Mapping[str, str]
) -> list[policies_pb2.RequirementOutcome]:
    hidden = _OF_AGREEMENTS if "agreement.missing" in decision.reasons else frozenset()
    return [
        policies_pb2.RequirementOutcome(
            id=id_, met=id_ not in decision.reasons, sentence=told.get(id_, "")
        )
        for id_ in ids
        if id_ not in hidden
    ]


def _columns(
    dataset: Dataset, asked: DecisionInput, decision: Decision
) -> list[policies_pb2.ColumnTrace]:
    return [
        policies_pb2.ColumnTrace(
            column=column.name,
            classification=column.classification.value,
            mask=choice.mask.value,
            rules=choice.rules,
        )
        for column in dataset.columns
        if (choice := decision.masks.get(asked.classes[column.name])) is not None
    ]
