"""Writes a statement's evidence: what its events say, and that they are durable."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain_agent.flight.ports import ReadContext
from domain_agent.principal_keys import PrincipalKeys
from domain_agent.reads.deciding import DatasetDecision
from domain_agent.reads.decision_texts import DecisionTexts
from domain_agent.spool.event_log import EventLog
from mesh.errors import MeshError
from mesh.evidence.canonical import canonical_fields, joined, listed
from mesh.evidence.events import EventType
from mesh.evidence.sealing import Personal

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
        self._events, self._keys = events, keys
        self._texts = DecisionTexts(engine)

    def started(self, statement: Statement) -> str:
        """Record that a read is about to begin; its receipt id. Raises EvidenceUnavailable."""
        return self._events.write(EventType.STARTED, *self._written(statement))

    def refused(self, statement: Statement, refusal: MeshError) -> str:
        """Record a refusal; its receipt id. Raises EvidenceUnavailable."""
        told = refusal.metadata.get("reasons", "")
        reasons = told.split(",") if told else [refusal.reason_id]
        fields, personal = self._written(statement)
        fields |= canonical_fields({"reasons": reasons, "message": refusal.message[:MAX_MESSAGE]})
        return self._events.write(EventType.REFUSED, fields, personal)

    def completed(self, receipt: str, totals: Totals) -> None:
        """Record that all of a read was handed out. Raises EvidenceUnavailable."""
        self._events.write(EventType.COMPLETED, canonical_fields(_totals(totals)), receipt=receipt)

    def aborted(self, receipt: str, totals: Totals, reason: str) -> None:
        """Record that a read ended early, and why. Raises EvidenceUnavailable."""
        fields = canonical_fields({**_totals(totals), "reason": reason})
        self._events.write(EventType.ABORTED, fields, receipt=receipt)

    def abort_unfinished(self, receipts: Sequence[str]) -> None:
        """End what an earlier process left open. Raises EvidenceUnavailable.

        How much of them was handed out is not known, and the events say so.
        """
        unknown = canonical_fields(
            {"rows": None, "bytes": None, "duration_ms": None, "reason": "agent.restarted"}
        )
        for receipt in receipts:
            self._events.write(EventType.ABORTED, unknown, receipt=receipt)

    def _written(self, statement: Statement) -> tuple[dict[str, bytes], Personal]:
        """What stays readable of a statement, and what names the reader or tells of them."""
        principal = statement.context.caller.principal
        texts = [self._texts.of(decision) for decision in statement.decisions]
        fields = canonical_fields(
            {
                "statement": statement.sql,
                "purpose": statement.context.purpose,
                "revision": statement.revision,
            }
        )
        fields["decisions"] = listed(text.decision for text in texts)
        who = {
            "kind": principal.kind.value,
            "subject": principal.subject,
            "teams": list(principal.teams),
        }
        personal = canonical_fields({"principal": who, "client": statement.context.client})
        personal["inputs"] = listed(text.input for text in texts)
        return fields, Personal(joined(personal), self._keys.key(principal.reference))


def _totals(totals: Totals) -> dict[str, object]:
    return {"rows": totals.rows, "bytes": totals.bytes, "duration_ms": totals.duration_ms}
