"""What a receipt's events say, as values: the statement, its decisions, how it ended.

Who read, and what was decided from, is sealed in the events: None where it did not open.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import zip_longest

from mesh import errors
from mesh.evidence.events import EventType, UsageEvent
from mesh.v1 import audit_pb2
from mesh.wire.events import event_from_proto, personal_from_proto


@dataclass(frozen=True, slots=True)
class ColumnMask:
    """What became of one column, and which rules chose it."""

    column: str
    mask: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class StoredDecision:
    """One dataset's decision with what it was made from."""

    product: str
    dataset: str
    agreement: str | None
    contract_version: str
    policy_digest: str
    engine: str
    input: Mapping[str, object] | None
    decision: Mapping[str, object]
    columns: tuple[ColumnMask, ...]

    @property
    def allow(self) -> bool:
        """The verdict; anything but a plain yes is a no."""
        return self.decision.get("allow") is True

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it denied."""
        return _texts(self.decision.get("reasons"))

    @property
    def masked(self) -> tuple[ColumnMask, ...]:
        """The columns that a reader does not get as they are."""
        return tuple(column for column in self.columns if column.mask != "clear")

    @property
    def row_rules(self) -> tuple[Mapping[str, object], ...]:
        """The row filters, each with the rule that set it."""
        return tuple(_mapping(row) for row in _list(self.decision.get("rows")))


@dataclass(frozen=True, slots=True)
class Ending:
    """How a read ended, and how much was handed out; None where nobody knows."""

    state: str
    time: datetime
    rows: int | None
    bytes: int | None
    duration_ms: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Receipt:
    """One statement's evidence, read."""

    id: str
    domain: str
    agent: str
    state: str
    time: datetime
    principal: str | None
    teams: tuple[str, ...]
    client: str | None
    purpose: str | None
    statement: str | None
    revision: int | None
    reasons: tuple[str, ...]
    message: str | None
    decisions: tuple[StoredDecision, ...]
    ending: Ending | None


def read_receipt(message: audit_pb2.Receipt) -> Receipt:
    """The receipt. Raises EvidenceInvalid when its first event is missing or malformed."""
    events = [event_from_proto(event) for event in message.events]
    first = next((event for event in events if event.id == message.id), None)
    if first is None or not first.type.is_read:
        raise errors.EvidenceInvalid(
            f"receipt {message.id} has come without its first event", receipt=message.id
        )
    data = first.data
    opened = next(personal_from_proto(event) for event in message.events if event.id == message.id)
    principal = _mapping(opened.get("principal"))
    inputs = _list(opened.get("inputs"))
    return Receipt(
        id=message.id,
        domain=message.domain,
        agent=message.agent,
        state=message.state,
        time=first.time,
        principal=f"{principal.get('kind')}:{principal.get('subject')}" if principal else None,
        teams=_texts(principal.get("teams")),
        client=_text(opened.get("client")),
        purpose=_text(data.get("purpose")),
        statement=_text(data.get("statement")),
        revision=_number(data.get("revision")),
        reasons=_texts(data.get("reasons")),
        message=_text(data.get("message")),
        decisions=tuple(
            _decision(_mapping(part), _mapping(made_from) if made_from is not None else None)
            for part, made_from in zip_longest(
                _list(data.get("decisions")), inputs[: len(_list(data.get("decisions")))]
            )
        ),
        ending=_ending(events),
    )


def _decision(part: Mapping[str, object], made_from: Mapping[str, object] | None) -> StoredDecision:
    return StoredDecision(
        product=_text(part.get("product")) or "",
        dataset=_text(part.get("dataset")) or "",
        agreement=_text(part.get("agreement")),
        contract_version=_text(part.get("contract_version")) or "",
        policy_digest=_text(part.get("policy_digest")) or "",
        engine=_text(part.get("engine")) or "",
        input=made_from,
        decision=_mapping(part.get("decision")),
        columns=tuple(_column(_mapping(column)) for column in _list(part.get("columns"))),
    )


def _column(part: Mapping[str, object]) -> ColumnMask:
    return ColumnMask(
        _text(part.get("column")) or "", _text(part.get("mask")) or "", _texts(part.get("rules"))
    )


def _ending(events: Sequence[UsageEvent]) -> Ending | None:
    for event in reversed(events):
        if event.type in (EventType.COMPLETED, EventType.ABORTED):
            return Ending(
                event.type.state,
                event.time,
                _number(event.data.get("rows")),
                _number(event.data.get("bytes")),
                _number(event.data.get("duration_ms")),
                _text(event.data.get("reason")),
            )
    return None


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(part for part in _list(value) if isinstance(part, str))


def _number(value: object) -> int | None:
    """A whole number; JSON's canonical form may write it as a float."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value)
