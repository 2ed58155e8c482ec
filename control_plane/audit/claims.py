"""What an agent's event claims, and what of it the audit shows and finds events by."""

from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from datetime import datetime

from control_plane.audit.reads import IndexedRead, Touched, counted, parts_of
from control_plane.timeline.rules import CLASSIFICATIONS, Change, Read
from mesh.evidence.events import EventType, UsageEvent
from mesh.masks import Mask
from mesh.names import is_name

# More than a statement can name; what is beyond stays in the event, but can't be found by it.
MOST_NAMES = 100
_MOST_CHARS = 200
_MOST_SUMMARY_CHARS = 2_000


@dataclass(frozen=True, slots=True)
class Claim:
    """An event and what its decisions name, in order and each once.

    `own` are the domain's products, `foreign` those that it can't have, `touched` its datasets.
    """

    event: UsageEvent
    own: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()
    agreements: tuple[str, ...] = ()
    touched: tuple[Touched, ...] = ()


def claim_of(event: UsageEvent, domain: str) -> Claim:
    """What an event of an agent of the domain names; what is odd is left out."""
    decisions = _decisions(event.data)
    if not decisions:
        return Claim(event)
    foreign: set[str] = set()
    agreements: set[str] = set()
    touched: dict[tuple[str, str], set[str]] = {}
    started = event.type is EventType.STARTED
    for decision in decisions:
        agreements.add(_text(decision.get("agreement")))
        product, dataset = _text(decision.get("product")), _text(decision.get("dataset"))
        if not _is_own(product, domain):
            foreign.add(product)
            continue
        words = touched.setdefault((product, dataset if is_name(dataset) else ""), set())
        if started:
            words.update(_classifications(decision.get("columns")))
    return Claim(
        event,
        own=tuple(sorted({product for product, _ in touched})),
        foreign=tuple(sorted(foreign - {""})),
        agreements=tuple(sorted(agreements - {""})),
        touched=tuple(
            Touched(*name, frozenset(words)) for name, words in sorted(touched.items())[:MOST_NAMES]
        ),
    )


def reads_of(
    claims: Iterable[Claim], domain: str, agent: str, actors: Mapping[str, str]
) -> list[IndexedRead]:
    """An agent's reads, `actors` being by event: who and what of a read's first event, how it
    stands of its last. What is absent, odd or foreign is left out.
    """
    ends: dict[str, tuple[Claim, UsageEvent]] = {}
    for claim in claims:
        first, _ = ends.pop(claim.event.receipt, (claim, None))
        ends[claim.event.receipt] = (first, claim.event)
    return [
        IndexedRead(
            _read(first, last, (domain, agent), actors.get(first.event.id, "")),
            counted(_count(last.data.get("bytes"))),
            parts_of(first.touched),
        )
        for first, last in ends.values()
    ]


def _read(first: Claim, last: UsageEvent, name: tuple[str, str], actor: str) -> Read:
    """What the timeline shows of a read."""
    domain, agent = name
    reasons = _texts(last.data.get("reasons"))[:MOST_NAMES]
    return Read(
        receipt=last.receipt,
        action=last.type.action,
        time=first.event.time,
        domain=domain,
        agent=agent,
        actor=actor,
        products=first.own[:MOST_NAMES],
        purpose=_shown(_text(first.event.data.get("purpose"))),
        summary=_shown(_summary(last, domain), _MOST_SUMMARY_CHARS),
        rows=_count(last.data.get("rows")),
        reasons=tuple(_shown(reason) for reason in reasons),
        classified=tuple(
            sorted((one.product, word) for one in first.touched for word in one.classifications)
        ),
    )


def actor_of(personal: Mapping[str, object]) -> str:
    """Who read, such as `user:ana`, by an event's opened fields; empty when they don't say."""
    principal = personal.get("principal")
    if not isinstance(principal, Mapping):
        return ""
    kind, subject = _text(principal.get("kind")), _text(principal.get("subject"))
    actor = f"{kind}:{subject}"
    fits = kind and subject and len(actor) <= _MOST_CHARS and actor.isprintable()
    return actor if fits else ""


def change_of(event: UsageEvent, domain: str, agent: str) -> Change:
    """What the timeline shows of an event that is about no statement."""
    return Change(
        action=event.type.action,
        actor=f"agent:{domain}/{agent}",
        time=event.time,
        reference=event.receipt,
        summary=_shown(_text(event.data.get("key")) or _text(event.data.get("agreement"))),
        domain=domain,
    )


def used_agreements(claim: Claim, own: Set[str]) -> tuple[str, ...]:
    """The agreements that an allowed read rests on, of those that are the domain's own."""
    if claim.event.type is not EventType.STARTED:
        return ()
    return tuple(name for name in claim.agreements if name in own)[:MOST_NAMES]


def suspicion_of(
    claim: Claim, domain: str, agent: str, own: Set[str], now: datetime
) -> Change | None:
    """Tells of names that can't be right, `own` being the domain's agreements; None without."""
    found = ", and ".join(_oddities(claim, domain, own))
    if not found:
        return None
    event = claim.event
    return Change(
        action="evidence.suspect",
        actor=f"agent:{domain}/{agent}",
        time=now,
        reference=event.receipt,
        summary=f"event {event.sequence} names {found}; it is stored, and not found by that",
        domain=domain,
    )


def _oddities(claim: Claim, domain: str, own: Set[str]) -> Iterator[str]:
    for noun, foreign in (
        ("product", claim.foreign),
        ("agreement", [name for name in claim.agreements if name not in own]),
    ):
        if foreign:
            more = f" and {len(foreign) - 1:,} more" if len(foreign) > 1 else ""
            yield f"the {noun} {_shown(foreign[0], 100)}{more}, which {domain} does not have"
    if max(len(claim.own) + len(claim.foreign), len(claim.agreements)) > MOST_NAMES:
        yield f"more than {MOST_NAMES} products or agreements"


def _is_own(product: str, domain: str) -> bool:
    owner, _, name = product.partition(".")
    return owner == domain and is_name(name)


def _summary(event: UsageEvent, domain: str) -> str:
    data = event.data
    match event.type:
        case EventType.STARTED:
            return f"reading {', '.join(_datasets(data, domain)) or 'no dataset'}"
        case EventType.COMPLETED:
            return f"{_counted(data, 'rows')}, {_counted(data, 'bytes')}"
        case EventType.ABORTED:
            reason = _text(data.get("reason")) or "unknown reason"
            return f"ended early ({reason}) after {_counted(data, 'rows')}"
        case _:
            return _text(data.get("message")) or ", ".join(_texts(data.get("reasons")))


def _decisions(data: Mapping[str, object]) -> list[dict[str, object]]:
    decisions = data.get("decisions")
    if not isinstance(decisions, list):
        return []
    return [decision for decision in decisions if isinstance(decision, dict)]


def _classifications(columns: object) -> Iterator[str]:
    """The classifications of the columns that were handed out in some form."""
    for column in columns if isinstance(columns, list) else ():
        if isinstance(column, dict) and column.get("mask") != Mask.DROP:
            word = _text(column.get("classification"))
            if word in CLASSIFICATIONS:
                yield word


def _datasets(data: Mapping[str, object], domain: str) -> list[str]:
    pairs = {
        (_text(decision.get("product")), _text(decision.get("dataset")))
        for decision in _decisions(data)
    }
    return sorted(f"{product}.{name}" for product, name in pairs if _is_own(product, domain))


def _counted(data: Mapping[str, object], noun: str) -> str:
    """`1 row`, `2,000 rows`."""
    count = _count(data.get(noun))
    return f"{count:,} {noun.removesuffix('s') if count == 1 else noun}"


def _shown(text: str, most: int = _MOST_CHARS) -> str:
    """The text as every database takes it: not too long, and without NUL."""
    whole = text.replace("\x00", "\ufffd")
    return whole if len(whole) <= most else f"{whole[: most - 1]}…"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _texts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    return tuple(item for item in value if isinstance(item, str))


def _count(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) else 0
