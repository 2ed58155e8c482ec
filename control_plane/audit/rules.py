"""What the audit refuses of an agent's events, and whose receipts are shown to whom."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from control_plane.timeline.rules import Read, Sight
from mesh.errors import (
    EvidenceConflict,
    EvidenceGap,
    EvidenceInvalid,
    ReceiptAmbiguous,
    ReceiptNotFound,
)
from mesh.evidence.codec import Recorded
from mesh.evidence.events import UsageEvent, agent_source

_ID = re.compile(r"[A-Za-z0-9._:/-]{1,200}")


@dataclass(frozen=True, slots=True)
class Receipt:
    """One statement's evidence: who read where, and how it stands. An agent's ids are its own.

    The actor is empty while `key`, which seals the name, has not arrived, and after its end.
    """

    id: str
    domain: str
    agent: str
    state: str
    actor: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """When a record was stored, and how many bytes it has."""

    time: datetime
    size: int


def is_id(text: str) -> bool:
    """Whether text may be an id."""
    return _ID.fullmatch(text) is not None


def check_batch(events: Sequence[UsageEvent], domain: str, agent: str) -> None:
    """Refuse events of another agent, and such that don't follow each other.

    Raises EvidenceInvalid.
    """
    source = agent_source(domain, agent)
    for index, event in enumerate(events):
        sequence = event.sequence
        if event.source != source:
            raise EvidenceInvalid(
                f"event {sequence} is from {event.source}; this agent may append {source} only",
                sequence=str(sequence),
            )
        if not (is_id(event.id) and is_id(event.receipt)):
            raise EvidenceInvalid(
                f"event {sequence} has no id or no receipt of 1 to 200 letters, digits and ._:/-",
                sequence=str(sequence),
            )
        if sequence < 1 or sequence != events[0].sequence + index:
            raise EvidenceInvalid(
                f"event {sequence} does not follow the one before; sequences start at 1 and"
                " have no gaps",
                sequence=str(sequence),
            )


def check_continues(first: int, stored: int) -> None:
    """Refuse events that leave a gap after the last stored one. Raises EvidenceGap."""
    if first > stored + 1:
        raise EvidenceGap(
            f"the log is stored up to {stored}, so the next event is {stored + 1}, not {first};"
            " send from there",
            sequence=str(stored + 1),
        )


def check_same(events: Sequence[Recorded], stored: Mapping[int, bytes]) -> None:
    """Refuse events that differ from those stored, by sequence. Raises EvidenceConflict."""
    for event, record in events:
        if stored.get(event.sequence) != record:
            raise EvidenceConflict(
                f"another event is stored under sequence {event.sequence} of {event.source};"
                " its log was forked or edited",
                sequence=str(event.sequence),
            )


def check_ids(events: Sequence[UsageEvent], stored: Mapping[str, int]) -> None:
    """Refuse an id for a second event; `stored` are sequences by id. Raises EvidenceConflict."""
    seen = dict(stored)
    for event in events:
        twin = seen.setdefault(event.id, event.sequence)
        if twin != event.sequence:
            raise EvidenceConflict(
                f"event {event.sequence} has the id of event {twin}; ids are unique",
                sequence=str(event.sequence),
            )


def receipt_of(read: Read, key: str) -> Receipt:
    """The receipt as of a read's latest event."""
    state = read.action.removeprefix("read.")
    return Receipt(read.receipt, read.domain, read.agent, state, read.actor, key)


def the_one(receipts: Iterable[Receipt], wanted: str, source: str) -> Receipt:
    """The only one of those that somebody may see. Raises ReceiptNotFound, ReceiptAmbiguous."""
    found = [one for one in receipts if source in ("", agent_source(one.domain, one.agent))]
    if not found:
        of = f" of {source!r}" if source else ""
        raise ReceiptNotFound(
            f"there is no receipt {wanted!r}{of} that you may see", receipt=wanted
        )
    if len(found) > 1:
        agents = ", ".join(sorted(f"{one.domain}/{one.agent}" for one in found))
        raise ReceiptAmbiguous(
            f"several agents have a receipt {wanted}: {agents}; name the agent that is meant"
            " (`mesh why --agent DOMAIN/ID`)",
            receipt=wanted,
            agents=agents,
        )
    return found[0]


def may_see(sight: Sight, receipt: Receipt) -> bool:
    """Whether the receipt is in somebody's sight."""
    return sight.everything or receipt.domain in sight.domains or receipt.actor == sight.actor
