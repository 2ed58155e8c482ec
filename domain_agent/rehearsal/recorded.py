"""The agent's own recorded decisions, each distinct input once."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from domain_agent.spool.spool import Spool
from mesh.evidence.codec import decode_event
from mesh.evidence.events import EventType, UsageEvent
from mesh.evidence.sealing import SealBroken, key_id, unseal

_AT_ONCE = 1 << 20
_DECIDED = frozenset({EventType.STARTED, EventType.REFUSED})


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """The latest decision on an input; `reads` were decided on it, the last at `last`."""

    document: Mapping[str, object]
    decision: Mapping[str, object]
    policy_digest: str
    reads: int
    last: datetime


@dataclass(frozen=True, slots=True)
class History:
    """Distinct inputs, whatever the time of day; `unreadable` are reads whose key is destroyed."""

    decisions: tuple[RecordedDecision, ...]
    reads: int
    unreadable: int


def read_history(records: Iterable[bytes], secrets: Mapping[str, bytes]) -> History:
    """What was decided, from the records of the agent's own log."""
    found: dict[str, RecordedDecision] = {}
    reads = unreadable = 0
    for record in records:
        event = decode_event(record)
        if event.type not in _DECIDED or not event.data.get("decisions"):
            continue
        reads += 1
        inputs = _inputs(event, secrets)
        if inputs is None:
            unreadable += 1
            continue
        for part, document in zip(_list(event.data["decisions"]), inputs, strict=False):
            _add(found, event, part, document)
    return History(tuple(found.values()), reads, unreadable)


def records_of(spool: Spool) -> Iterator[bytes]:
    """The records that are still here, in order: also those that are stored downstream."""
    sequence = 0
    while True:
        before = sequence
        for number, record in spool.history.records_after(sequence):
            sequence = number
            yield record
        sequence = max(sequence, spool.oldest - 1)
        while records := spool.read_records_after(sequence, _AT_ONCE):
            sequence += len(records)
            yield from records
        # A segment can go from the spool to its history meanwhile.
        if sequence in (before, spool.head.size):
            return


def _inputs(event: UsageEvent, secrets: Mapping[str, bytes]) -> list[Mapping[str, object]] | None:
    key = key_id(event.data)
    secret = None if key is None else secrets.get(key)
    if secret is None:
        return None
    try:
        opened = unseal(event.id, event.data, secret)
    except SealBroken:
        return None
    return _list(opened.get("inputs"))


def _add(
    found: dict[str, RecordedDecision],
    event: UsageEvent,
    part: Mapping[str, object],
    document: Mapping[str, object],
) -> None:
    key = json.dumps({**document, "now": None}, sort_keys=True)
    known = found.get(key)
    decision = part.get("decision")
    found[key] = RecordedDecision(
        document=document,
        decision=decision if isinstance(decision, Mapping) else {},
        policy_digest=str(part.get("policy_digest")),
        reads=1 if known is None else known.reads + 1,
        last=event.time if known is None else max(known.last, event.time),
    )


def _list(value: object) -> list[Mapping[str, object]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []
