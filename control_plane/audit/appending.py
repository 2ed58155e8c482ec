"""Storing an agent's evidence: each event once, in order, with all that it is found by."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from control_plane.agreements import store as agreements
from control_plane.agreements.store import AgreementRead
from control_plane.audit import claims, reads_store, rules, store, witnessing
from control_plane.audit.arrivals import AgentName
from control_plane.audit.claims import Claim
from control_plane.database import Transaction
from control_plane.timeline import store as timeline
from control_plane.vault.vault import Vault
from mesh.evidence.codec import Recorded
from mesh.evidence.events import UsageEvent
from mesh.evidence.sealing import key_id


def append_events(
    tx: Transaction,
    domain: str,
    agent: str,
    events: Sequence[Recorded],
    now: datetime,
    vault: Vault,
) -> int:
    """Store the agent's consecutive events once each; the last sequence that is stored.

    What their data says never stops them: what it can't rightly name is told in the timeline.
    Raises EvidenceInvalid, EvidenceGap and EvidenceConflict, and then nothing is to be committed.
    """
    rules.check_batch([one.event for one in events], domain, agent)
    stored = store.stored_sequence(tx, domain, agent)
    if events:
        rules.check_continues(events[0].event.sequence, stored)
    _check_same(tx, domain, agent, [one for one in events if one.event.sequence <= stored])
    new = [one for one in events if one.event.sequence > stored]
    if not new:
        return stored
    twins = store.stored_ids(tx, domain, agent, [one.event.id for one in new])
    rules.check_ids([one.event for one in new], twins)
    add_new_events(tx, domain, agent, new, now, vault)
    return new[-1].event.sequence


def add_new_events(
    tx: Transaction,
    domain: str,
    agent: str,
    new: Sequence[Recorded],
    now: datetime,
    vault: Vault,
) -> None:
    """Store consecutive events of which none is stored, with all that they are found by."""
    store.add_events(tx, domain, agent, new, now)
    witnessing.grow(tx, domain, agent, new, now)
    events = [one.event for one in new]
    new_ones = {event.sequence for event in events}
    index_events(tx, AgentName(domain, agent), events, new_ones, now, vault)


def index_events(
    tx: Transaction,
    name: AgentName,
    events: Sequence[UsageEvent],
    new: Collection[int],
    now: datetime,
    vault: Vault,
) -> None:
    """Index events, and tell of those that are new what there is to tell."""
    domain, agent = name.domain, name.agent
    opened = vault.open(tx, domain, agent, events)
    actors = {event: claims.actor_of(personal) for event, personal in opened.items()}
    claimed = [claims.claim_of(event, domain) for event in events]
    reads = [claim for claim in claimed if claim.event.type.is_read]
    _index_reads(tx, domain, agent, reads, actors)
    _index_names(tx, domain, agent, claimed, new, now)


def _index_reads(
    tx: Transaction,
    domain: str,
    agent: str,
    claimed: Sequence[Claim],
    actors: Mapping[str, str],
) -> None:
    events = [claim.event for claim in claimed]
    keys = {event.receipt: key for event in events if (key := key_id(event.data))}
    indexed = claims.reads_of(claimed, domain, agent, actors)
    reads = [one.read for one in indexed]
    receipts = [rules.receipt_of(read, keys.get(read.receipt, "")) for read in reads]
    known = store.known_receipts(tx, domain, agent, [receipt.id for receipt in receipts])
    store.add_receipts(tx, [receipt for receipt in receipts if receipt.id not in known])
    store.move_receipts(tx, [receipt for receipt in receipts if receipt.id in known])
    timeline.record_reads(tx, reads)
    reads_store.index_reads(tx, indexed, known)


def _index_names(
    tx: Transaction,
    domain: str,
    agent: str,
    claimed: Sequence[Claim],
    new: Collection[int],
    now: datetime,
) -> None:
    named = {name for claim in claimed for name in claim.agreements}
    own = agreements.own(tx, domain, {name for name in named if rules.is_id(name)})
    uses = [
        AgreementRead(name, claim.event.receipt, claim.event.time)
        for claim in claimed
        for name in claims.used_agreements(claim, own)
    ]
    agreements.note_reads(tx, domain, agent, uses)
    claimed = [claim for claim in claimed if claim.event.sequence in new]
    events = [claim.event for claim in claimed if not claim.event.type.is_read]
    told = [claims.change_of(event, domain, agent) for event in events]
    suspicions = [claims.suspicion_of(claim, domain, agent, own, now) for claim in claimed]
    timeline.record_changes(tx, [*told, *(one for one in suspicions if one is not None)])


def _check_same(tx: Transaction, domain: str, agent: str, events: Sequence[Recorded]) -> None:
    """Refuse events that differ from those stored under their sequences."""
    if events:
        stored = store.stored_events(tx, domain, agent, [one.event.sequence for one in events])
        rules.check_same(events, stored)
