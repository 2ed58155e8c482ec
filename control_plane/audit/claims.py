"""What an agent's event claims, and what of it the audit shows and finds events by."""

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from datetime import datetime

from control_plane.audit.reads import IndexedRead, Touched, counted, parts_of
from control_plane.timeline.rules import Change, Read, class_bits
from mesh.evidence.events import EventType, UsageEvent
from mesh.masks import Mask
from mesh.names import is_name

# More than a statement can name; what is beyond stays in the event, but can't be found by it.
MOST_NAMES = 100
_MOST_CHARS = 200
_MOST_SUMMARY_CHARS = 2_000


def read_of(event: UsageEvent, domain: str, agent: str, actor: str) -> Read:
    """What the timeline shows of a read's event; what is absent, odd or foreign is left out."""
    data = event.data
    reasons = _texts(data.get("reasons"))[:MOST_NAMES]
    touched = _touched(event, domain)
    return Read(
        receipt=event.receipt,
        action=event.type.action,
        time=event.time,
        domain=domain,
        agent=agent,
        actor=actor,
        products=tuple(p for p in _named(data, "product") if _is_own(p, domain))[:MOST_NAMES],
        purpose=_shown(_text(data.get("purpose"))),
        summary=_shown(_summary(event, domain), _MOST_SUMMARY_CHARS),
        rows=_count(data.get("rows")),
        reasons=tuple(_shown(reason) for reason in reasons),
        classified=tuple(
            sorted((one.product, word) for one in touched for word in one.classifications)
        ),
    )


def indexed(reads: Iterable[Read], events: Sequence[UsageEvent]) -> list[IndexedRead]:
    """What is indexed of one agent's merged reads; `events` are all that they were made of."""
    first: dict[str, UsageEvent] = {}
    last: dict[str, UsageEvent] = {}
    for event in events:
        first.setdefault(event.receipt, event)
        last[event.receipt] = event
    return [
        IndexedRead(
            read,
            counted(_count(last[read.receipt].data.get("bytes"))),
            parts_of(_touched(first[read.receipt], read.domain)),
        )
        for read in reads
    ]


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


def named_agreements(event: UsageEvent) -> tuple[str, ...]:
    """Every agreement that the event names."""
    return _named(event.data, "agreement")


def used_agreements(event: UsageEvent, own: Set[str]) -> tuple[str, ...]:
    """The agreements that an allowed read rests on, of those that are the domain's own."""
    if event.type is not EventType.STARTED:
        return ()
    return tuple(name for name in named_agreements(event) if name in own)[:MOST_NAMES]


def suspicion_of(
    event: UsageEvent, domain: str, agent: str, own: Set[str], now: datetime
) -> Change | None:
    """Tells of names that can't be right, `own` being the domain's agreements; None without."""
    found = ", and ".join(_oddities(event, domain, own))
    if not found:
        return None
    return Change(
        action="evidence.suspect",
        actor=f"agent:{domain}/{agent}",
        time=now,
        reference=event.receipt,
        summary=f"event {event.sequence} names {found}; it is stored, and not found by that",
        domain=domain,
    )


def _oddities(event: UsageEvent, domain: str, own: Set[str]) -> Iterator[str]:
    products, agreements = _named(event.data, "product"), named_agreements(event)
    for noun, foreign in (
        ("product", [name for name in products if not _is_own(name, domain)]),
        ("agreement", [name for name in agreements if name not in own]),
    ):
        if foreign:
            more = f" and {len(foreign) - 1:,} more" if len(foreign) > 1 else ""
            yield f"the {noun} {_shown(foreign[0], 100)}{more}, which {domain} does not have"
    if max(len(products), len(agreements)) > MOST_NAMES:
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


def _decisions(data: Mapping[str, object]) -> list[Mapping[str, object]]:
    decisions = data.get("decisions")
    if not isinstance(decisions, list):
        return []
    return [decision for decision in decisions if isinstance(decision, Mapping)]


def _named(data: Mapping[str, object], field: str) -> tuple[str, ...]:
    found = {_text(decision.get(field)) for decision in _decisions(data)}
    return tuple(sorted(found - {""}))


def _touched(event: UsageEvent, domain: str) -> list[Touched]:
    """The domain's own datasets that the event names, each once; a refused one is not read."""
    found: dict[tuple[str, str], set[str]] = {}
    for decision in _decisions(event.data):
        product, dataset = _text(decision.get("product")), _text(decision.get("dataset"))
        if not _is_own(product, domain):
            continue
        words = found.setdefault((product, dataset if is_name(dataset) else ""), set())
        if event.type is EventType.STARTED:
            words.update(_classifications(decision.get("columns")))
    return [Touched(*name, frozenset(words)) for name, words in sorted(found.items())][:MOST_NAMES]


def _classifications(columns: object) -> Iterator[str]:
    """The classifications of the columns that were handed out in some form."""
    for column in columns if isinstance(columns, list) else []:
        if isinstance(column, Mapping) and column.get("mask") != Mask.DROP:
            word = _text(column.get("classification"))
            if class_bits((word,)):
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
