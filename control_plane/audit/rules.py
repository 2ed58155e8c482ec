"""What the audit makes of an agent's events: order, and the facts it shows and searches by."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from control_plane.timeline.rules import Read, Sight
from mesh.errors import EvidenceConflict, EvidenceGap, EvidenceInvalid
from mesh.evidence.codec import encode_event
from mesh.evidence.events import EventType, UsageEvent, agent_source

MAX_APPEND_BYTES = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Receipt:
    """One statement's evidence: who read where, and how it stands."""

    id: str
    domain: str
    agent: str
    state: str
    actor: str


def check_batch(events: Sequence[UsageEvent], domain: str, agent: str) -> None:
    """Refuse events of another agent, and such that don't follow each other.

    Raises EvidenceInvalid.
    """
    source = agent_source(domain, agent)
    for index, event in enumerate(events):
        sequence = str(event.sequence)
        if event.source != source:
            raise EvidenceInvalid(
                f"event {sequence} is from {event.source}; this agent may append {source} only",
                sequence=sequence,
            )
        if not event.id or not event.receipt:
            raise EvidenceInvalid(f"event {sequence} has no id or no receipt", sequence=sequence)
        foreign = [p for p in _named(event.data, "product") if not p.startswith(f"{domain}.")]
        if foreign:
            raise EvidenceInvalid(
                f"event {sequence} speaks of {foreign[0]}, which is not of the agent's domain",
                sequence=sequence,
            )
        if event.sequence < 1 or event.sequence != events[0].sequence + index:
            raise EvidenceInvalid(
                f"event {sequence} does not follow the one before; sequences start at 1 and"
                " have no gaps",
                sequence=sequence,
            )


def check_continues(first: int, stored: int) -> None:
    """Refuse events that leave a gap after the last stored one. Raises EvidenceGap."""
    if first > stored + 1:
        raise EvidenceGap(
            f"the log is stored up to {stored}, so the next event is {stored + 1}, not {first};"
            " send from there",
            sequence=str(stored + 1),
        )


def check_same(events: Sequence[UsageEvent], stored: Mapping[int, bytes]) -> None:
    """Refuse events that differ from those stored, by sequence. Raises EvidenceConflict."""
    for event in events:
        if stored.get(event.sequence) != encode_event(event):
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


def check_receipts(known: Iterable[Receipt], domain: str, agent: str) -> None:
    """Refuse events of another agent's receipts. Raises EvidenceInvalid."""
    for receipt in known:
        if (receipt.domain, receipt.agent) != (domain, agent):
            raise EvidenceInvalid(
                f"receipt {receipt.id} is another agent's; {domain}/{agent} can't add to it"
            )


def receipt_of(read: Read, agent: str) -> Receipt:
    """The receipt as of a read's latest event."""
    state = read.action.removeprefix("read.")
    return Receipt(read.receipt, read.domain, agent, state, read.actor)


def may_see(sight: Sight, receipt: Receipt) -> bool:
    """Whether the receipt is in somebody's sight."""
    return sight.everything or receipt.domain in sight.domains or receipt.actor == sight.actor


def read_of(event: UsageEvent, domain: str) -> Read:
    """What the timeline shows of an event; a field that is absent or odd is left out."""
    data = event.data
    return Read(
        receipt=event.receipt,
        action=event.type.action,
        time=event.time,
        domain=domain,
        actor=_actor(data),
        products=_named(data, "product"),
        purpose=_text(data.get("purpose")),
        summary=_summary(event),
        rows=_count(data.get("rows")),
        reasons=_texts(data.get("reasons")),
    )


def agreements_of(event: UsageEvent) -> tuple[str, ...]:
    """The agreements that an allowed read rests on."""
    if event.type is not EventType.STARTED:
        return ()
    return _named(event.data, "agreement")


def _summary(event: UsageEvent) -> str:
    data = event.data
    match event.type:
        case EventType.STARTED:
            return f"reading {', '.join(_datasets(data)) or 'no dataset'}"
        case EventType.COMPLETED:
            return f"{_counted(data, 'rows')}, {_counted(data, 'bytes')}"
        case EventType.ABORTED:
            reason = _text(data.get("reason")) or "unknown reason"
            return f"ended early ({reason}) after {_counted(data, 'rows')}"
        case EventType.REFUSED:
            return _text(data.get("message")) or ", ".join(_texts(data.get("reasons")))
        case _:
            return _text(data.get("key")) or _text(data.get("agreement"))


def _decisions(data: Mapping[str, object]) -> list[Mapping[str, object]]:
    decisions = data.get("decisions")
    if not isinstance(decisions, list):
        return []
    return [decision for decision in decisions if isinstance(decision, Mapping)]


def _named(data: Mapping[str, object], field: str) -> tuple[str, ...]:
    found = {_text(decision.get(field)) for decision in _decisions(data)}
    return tuple(sorted(found - {""}))


def _datasets(data: Mapping[str, object]) -> list[str]:
    pairs = [
        (_text(decision.get("product")), _text(decision.get("dataset")))
        for decision in _decisions(data)
    ]
    return sorted({f"{product}.{dataset}" for product, dataset in pairs})


def _actor(data: Mapping[str, object]) -> str:
    principal = data.get("principal")
    if not isinstance(principal, Mapping):
        return ""
    kind, subject = _text(principal.get("kind")), _text(principal.get("subject"))
    return f"{kind}:{subject}" if kind and subject else ""


def _counted(data: Mapping[str, object], noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    count = _count(data.get(noun))
    return f"{count:,} {noun.removesuffix('s') if count == 1 else noun}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
