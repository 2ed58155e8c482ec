"""Writes a statement's evidence: what its events say, and that they are durable."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain_agent.flight.ports import ReadContext
from domain_agent.principal_keys import PrincipalKeys
from domain_agent.reads.deciding import DatasetDecision
from domain_agent.spool.event_log import EventLog, Personal
from mesh.decisions.documents import decision_document
from mesh.errors import MeshError
from mesh.evidence.events import EventType

MAX_MESSAGE = 2_000


@dataclass(frozen=True, slots=True)
class Statement:
    """What evidence says of a statement: the redacted SQL, if it passed the gate."""

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

    def __init__(self, engine: str, events: EventLog, keys: PrincipalKeys) -> None:
        self._engine, self._events, self._keys = engine, events, keys

    def started(self, statement: Statement) -> str:
        """Record that a read is about to begin; its receipt id. Raises EvidenceUnavailable."""
        personal = self._personal(statement)
        return self._events.write(EventType.STARTED, self._fields(statement), personal)

    def refused(self, statement: Statement, refusal: MeshError) -> str:
        """Record a refusal; its receipt id. Raises EvidenceUnavailable."""
        listed = refusal.metadata.get("reasons", "")
        fields = self._fields(statement) | {
            "reasons": listed.split(",") if listed else [refusal.reason_id],
            "message": refusal.message[:MAX_MESSAGE],
        }
        return self._events.write(EventType.REFUSED, fields, self._personal(statement))

    def completed(self, receipt: str, totals: Totals) -> None:
        """Record that all of a read was handed out. Raises EvidenceUnavailable."""
        self._events.write(EventType.COMPLETED, _totals(totals), receipt=receipt)

    def aborted(self, receipt: str, totals: Totals, reason: str) -> None:
        """Record that a read ended early, and why. Raises EvidenceUnavailable."""
        fields = {**_totals(totals), "reason": reason}
        self._events.write(EventType.ABORTED, fields, receipt=receipt)

    def abort_unfinished(self, receipts: Sequence[str]) -> None:
        """End what an earlier process left open. Raises EvidenceUnavailable.

        How much of them was handed out is not known, and the events say so.
        """
        unknown = {"rows": None, "bytes": None, "duration_ms": None, "reason": "agent.restarted"}
        for receipt in receipts:
            self._events.write(EventType.ABORTED, unknown, receipt=receipt)

    def _personal(self, statement: Statement) -> Personal:
        """Who read from where, and the inputs of the decisions, which name the reader too."""
        principal = statement.context.caller.principal
        fields = {
            "principal": {
                "kind": principal.kind.value,
                "subject": principal.subject,
                "teams": list(principal.teams),
            },
            "client": statement.context.client,
            "inputs": [decision.decided.document for decision in statement.decisions],
        }
        return Personal(fields, self._keys.key(principal.reference))

    def _fields(self, statement: Statement) -> dict[str, object]:
        return {
            "statement": statement.sql,
            "purpose": statement.context.purpose,
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


def _totals(totals: Totals) -> dict[str, object]:
    return {"rows": totals.rows, "bytes": totals.bytes, "duration_ms": totals.duration_ms}
