"""Deciding recorded inputs again with a candidate, and what would change for whom."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from domain_agent.rehearsal.recorded import History, RecordedDecision
from mesh.contracts.values import Contract
from mesh.decisions.comparing import Difference, differences
from mesh.decisions.deciding import Decider
from mesh.decisions.documents import parse_decision
from mesh.decisions.engines import Engine
from mesh.decisions.findings import Finding, grouped
from mesh.decisions.inputs import DecisionInput, columns_of
from mesh.decisions.policy import Policy
from mesh.decisions.values import Decision
from mesh.errors import PolicyError


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """How a candidate did on the agent's history."""

    distinct: int
    reads: int
    unreadable: int
    findings: tuple[Finding, ...]


class Ended(Exception):
    """The rehearsal was ended from outside."""


class Rehearsal:
    """Holds a candidate against what is in force; `workers` decide side by side until `ended`."""

    def __init__(
        self,
        candidate: Policy,
        in_force: Policy,
        contracts: Mapping[str, Contract],
        make_engine: Callable[[], Engine],
        workers: int,
        ended: threading.Event,
    ) -> None:
        self._candidate, self._in_force, self._contracts = candidate, in_force, contracts
        self._make_engine, self._workers, self._ended = make_engine, workers, ended

    def run(self, history: History) -> Rehearsed:
        """What would change. Raises PolicyInvalid when the candidate does not load, and Ended."""
        shares = [history.decisions[n :: self._workers] for n in range(self._workers)]
        with ThreadPoolExecutor(self._workers, thread_name_prefix="rehearsal") as threads:
            found = [one for share in threads.map(self._share, shares) for one in share]
        return Rehearsed(
            len(history.decisions), history.reads, history.unreadable, tuple(grouped(found))
        )

    def _share(self, decisions: Sequence[RecordedDecision]) -> list[Finding]:
        with ExitStack() as ended:
            new, old = (
                self._decider(policy, ended) for policy in (self._candidate, self._in_force)
            )
            return [one for recorded in decisions for one in self._findings(recorded, old, new)]

    def _decider(self, policy: Policy, ended: ExitStack) -> "_LazyDecider":
        decider = _LazyDecider(policy, self._make_engine)
        ended.callback(decider.close)
        return decider

    def _findings(
        self, recorded: RecordedDecision, old: "_LazyDecider", new: "_LazyDecider"
    ) -> Iterator[Finding]:
        if self._ended.is_set():
            raise Ended
        after = new.decide(recorded.document)
        before = _as_recorded(recorded, self._in_force) or old.decide(recorded.document)
        for one in differences(recorded.document, before, after):
            yield self._finding(recorded, one)

    def _finding(self, recorded: RecordedDecision, difference: Difference) -> Finding:
        document = recorded.document
        product, dataset = _mapping(document, "product"), _mapping(document, "dataset")
        subject = _mapping(document, "subject")
        class_ = _class(dataset, difference.class_id)
        contract = self._contracts.get(str(product.get("name")))
        known = contract.dataset(str(dataset.get("name"))) if contract is not None else None
        columns = columns_of(known, class_) if known is not None and class_ else ()
        return Finding(
            kind=difference.kind,
            product=f"{product.get('domain')}.{product.get('name')}",
            dataset=str(dataset.get("name")),
            columns=columns,
            classification=str(class_.get("classification") or ""),
            category=str(class_.get("category") or ""),
            before=difference.before,
            after=difference.after,
            principal=f"{subject.get('kind')}:{subject.get('id')}",
            purpose=str(document.get("purpose")),
            reads=recorded.reads,
            last=recorded.last,
        )


class _LazyDecider:
    """An engine that starts when it is first asked: most histories need only the candidate's."""

    def __init__(self, policy: Policy, make_engine: Callable[[], Engine]) -> None:
        self._policy, self._make_engine = policy, make_engine
        self._engine: Engine | None = None
        self._decider: Decider | None = None

    def decide(self, document: Mapping[str, object]) -> Decision:
        if self._decider is None:
            self._engine = self._make_engine()
            self._decider = Decider(self._engine, capacity=0)
            self._decider.load(self._policy)
        return self._decider.decide(DecisionInput(document, {})).decision

    def close(self) -> None:
        if self._engine is not None:
            self._engine.close()


def _as_recorded(recorded: RecordedDecision, in_force: Policy) -> Decision | None:
    """The decision as it was made, where that was by the policy in force."""
    if recorded.policy_digest != in_force.digest:
        return None
    try:
        return parse_decision(recorded.decision)
    except PolicyError:
        return None


def _class(dataset: Mapping[str, object], class_id: str) -> Mapping[str, object]:
    classes = dataset.get("classes")
    known = classes if isinstance(classes, list) else []
    return next((one for one in known if one.get("id") == class_id), {})


def _mapping(document: Mapping[str, object], name: str) -> Mapping[str, object]:
    part = document.get(name)
    return part if isinstance(part, Mapping) else {}
