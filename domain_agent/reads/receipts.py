"""Writes a statement's evidence: what its events say, and that they are durable."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from uuid_utils import uuid7

from domain_agent.flight.ports import ReadContext
from domain_agent.reads.deciding import DatasetDecision
from domain_agent.spool.spool import Spool
from mesh.decisions.documents import decision_document
from mesh.errors import MeshError
from mesh.evidence.events import EventType, UsageEvent

MAX_MESSAGE = 2_000


@dataclass(frozen=True, slots=True)
class Statement:
    """What evidence says of a statement: its SQL with literals as parameters, if it parsed."""

    sql: str | None
    context: ReadContext
    decisions: Sequence[DatasetDecision] = ()
    revision: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What was handed to the transport, and how long it took."""

    rows: int
    bytes: int
    duration_ms: int


class Receipts:
    """One receipt per statement. Every method is durable when it returns, or raises."""

    def __init__(self, source: str, engine: str, spool: Spool, now: Callable[[], datetime]) -> None:
        self._source, self._engine, self._spool, self._now = source, engine, spool, now

    def started(self, statement: Statement) -> str:
        """Record that a read is about to begin; its receipt id. Raises EvidenceUnavailable."""
        return self._append(EventType.STARTED, self._document(statement), None)

    def refused(self, statement: Statement, refusal: MeshError) -> str:
        """Record a refusal; its receipt id. Raises EvidenceUnavailable."""
        listed = refusal.metadata.get("reasons", "")
        document = self._document(statement) | {
            "reasons": listed.split(",") if listed else [refusal.reason_id],
            "message": refusal.message[:MAX_MESSAGE],
        }
        return self._append(EventType.REFUSED, document, None)

    def completed(self, receipt: str, totals: Totals) -> None:
        """Record that all of a read was handed out. Raises EvidenceUnavailable."""
        self._append(EventType.COMPLETED, _totals(totals), receipt)

    def aborted(self, receipt: str, totals: Totals, reason: str) -> None:
        """Record that a read ended early, and why. Raises EvidenceUnavailable."""
        self._append(EventType.ABORTED, {**_totals(totals), "reason": reason}, receipt)

    def abort_unfinished(self) -> int:
        """End what an earlier process left open; how many reads that were.

        How much of them was handed out is not known, and the event says so.
        """
        unfinished = self._spool.unfinished()
        for event in unfinished:
            self._append(
                EventType.ABORTED,
                {"rows": None, "bytes": None, "duration_ms": None, "reason": "agent.restarted"},
                event.receipt,
            )
        return len(unfinished)

    def _append(self, kind: EventType, document: Mapping[str, object], receipt: str | None) -> str:
        event_id = str(uuid7())
        event = self._spool.append(
            lambda sequence: UsageEvent(
                id=event_id,
                source=self._source,
                type=kind,
                time=self._now(),
                sequence=sequence,
                receipt=receipt or event_id,
                data=document,
            )
        )
        return event.receipt

    def _document(self, statement: Statement) -> dict[str, object]:
        principal = statement.context.caller.principal
        return {
            "statement": statement.sql,
            "purpose": statement.context.purpose,
            "principal": {
                "kind": principal.kind.value,
                "subject": principal.subject,
                "teams": list(principal.teams),
            },
            "client": statement.context.client,
            "revision": statement.revision,
            "decisions": [self._decision(decision) for decision in statement.decisions],
        }

    def _decision(self, made: DatasetDecision) -> dict[str, object]:
        choices = made.decided.decision.masks
        return {
            "product": made.contract.name,
            "dataset": made.dataset.name,
            "agreement": made.agreement.id if made.agreement is not None else None,
            "contract_version": made.contract.version,
            "input": made.decided.document,
            "decision": decision_document(made.decided.decision),
            "policy_digest": made.decided.policy_digest,
            "engine": self._engine,
            "columns": [
                {
                    "column": column,
                    "mask": choices[class_id].mask.value,
                    "rules": list(choices[class_id].rules),
                }
                for column, class_id in made.input.classes.items()
                if class_id in choices
            ],
        }


def _totals(totals: Totals) -> dict[str, object]:
    return {"rows": totals.rows, "bytes": totals.bytes, "duration_ms": totals.duration_ms}
