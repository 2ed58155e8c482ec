"""Storing an agent's evidence: each event once, in order, with all that is found by it."""

from collections.abc import Sequence
from datetime import datetime

from control_plane.audit import rules, store
from control_plane.database import Transaction
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import merged
from mesh.evidence.events import UsageEvent


def append_events(
    tx: Transaction, domain: str, agent: str, events: Sequence[UsageEvent], now: datetime
) -> int:
    """Store the agent's consecutive events once each; the last sequence that is stored.

    Raises EvidenceInvalid, EvidenceGap and EvidenceConflict, and then nothing is to be committed.
    """
    rules.check_batch(events, domain, agent)
    stored = store.stored_sequence(tx, domain, agent)
    if events:
        rules.check_continues(events[0].sequence, stored)
    _check_same(tx, domain, agent, [event for event in events if event.sequence <= stored])
    new = [event for event in events if event.sequence > stored]
    if not new:
        return stored
    _append(tx, domain, agent, new, now)
    return new[-1].sequence


def _append(
    tx: Transaction, domain: str, agent: str, events: Sequence[UsageEvent], now: datetime
) -> None:
    twins = store.stored_ids(tx, domain, agent, [event.id for event in events])
    rules.check_ids(events, twins)
    reads = merged(rules.read_of(event, domain) for event in events)
    known = store.find_receipts(tx, [read.receipt for read in reads])
    rules.check_receipts(known.values(), domain, agent)
    store.add_events(tx, domain, agent, events, now)
    receipts = [rules.receipt_of(read, agent) for read in reads]
    store.add_receipts(tx, [one for one in receipts if one.id not in known])
    store.move_receipts(tx, [one for one in receipts if one.id in known])
    for event in events:
        agreements = rules.agreements_of(event)
        if agreements:
            store.add_agreement_reads(tx, agreements, event.receipt, event.time)
    timeline.record_reads(tx, reads)


def _check_same(tx: Transaction, domain: str, agent: str, events: Sequence[UsageEvent]) -> None:
    """Refuse events that differ from those stored under their sequences."""
    if events:
        stored = store.stored_events(tx, domain, agent, [event.sequence for event in events])
        rules.check_same(events, stored)
