"""Where several records came under one sequence, what the agent signed decides which is stored."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from control_plane.audit import (
    candidate_store,
    checkpoint_store,
    record_store,
    store,
    topic_store,
    tree_store,
    witnessing,
)
from control_plane.audit.arrivals import AgentName
from control_plane.audit.chains import signed_choice
from control_plane.audit.checkpoint_store import KeptCheckpoint
from control_plane.audit.reindexing import index_again
from control_plane.audit.tiles import TreeDamaged
from control_plane.database import Transaction
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from control_plane.vault.vault import Vault
from mesh.evidence.codec import Recorded, decode_event, place_of
from mesh.evidence.merkle import frontier_at, leaf_hash

ACTOR = "service:meshwarden"
# What is between two checkpoints is far less; more than so many records are left undecided.
MOST_RECORDS = 10_000


@dataclass(frozen=True, slots=True)
class _Choice:
    """What the agent signed for the sequences after one up to another."""

    after: int
    until: int
    signed: Mapping[int, bytes]


def settle(tx: Transaction, name: AgentName, now: datetime, vault: Vault) -> None:
    """Store what the agent signed in the place of what it did not, as far as that can be told."""
    before = -1
    while True:
        verified = tree_store.find(tx, name.domain, name.agent).verified_size
        candidate_store.drop(tx, name, verified)
        if verified == before or not candidate_store.is_open(tx, name):
            return
        choice = _choice(tx, name, verified)
        if choice is None:
            return
        _replace(tx, name, choice, now, vault)
        before = verified


def _choice(tx: Transaction, name: AgentName, verified: int) -> _Choice | None:
    """What the smallest checkpoint beyond what is verified says, if records for it are there."""
    for kept in checkpoint_store.undecided(tx, name.domain, name.agent, verified):
        if kept.size - verified > MOST_RECORDS:
            return None
        options = _options(tx, name, verified, kept.size)
        if len(options) < kept.size - verified:
            return None
        if len(checkpoint_store.roots_at(tx, name.domain, name.agent, kept.size)) > 1:
            continue
        signed = _signed(tx, name, verified, options, kept)
        if signed is not None and not _ids_taken(tx, name, signed):
            return _Choice(verified, kept.size, signed)
    return None


def _ids_taken(tx: Transaction, name: AgentName, signed: Mapping[int, bytes]) -> bool:
    """Whether something else is stored under an id; a later checkpoint decides on that too."""
    ids = [place_of(record).id for record in signed.values()]
    stored = store.stored_ids(tx, name.domain, name.agent, ids)
    return any(sequence not in signed for sequence in stored.values())


def _signed(
    tx: Transaction,
    name: AgentName,
    verified: int,
    options: Mapping[int, list[bytes]],
    kept: KeptCheckpoint,
) -> dict[int, bytes] | None:
    try:
        before = frontier_at(tree_store.nodes(tx, name.domain, name.agent), verified)
    except TreeDamaged:
        return None
    sequences = sorted(options)
    leaves = [[leaf_hash(record) for record in options[sequence]] for sequence in sequences]
    chosen = signed_choice(before, leaves, kept.root)
    if chosen is None:
        return None
    return {
        sequence: options[sequence][number]
        for sequence, number in zip(sequences, chosen, strict=True)
    }


def _options(tx: Transaction, name: AgentName, after: int, until: int) -> dict[int, list[bytes]]:
    """All records of some sequences: what is not stored first, as what is does not fit."""
    options = candidate_store.found(tx, name, after, until)
    for sequence, record in topic_store.held(tx, name, after):
        if sequence > until:
            break
        options.setdefault(sequence, []).append(record)
    stored = record_store.documents(tx, name.domain, name.agent, after + 1, until)
    for sequence, record in stored.items():
        options.setdefault(sequence, []).append(record)
    return options


def _replace(
    tx: Transaction, name: AgentName, choice: _Choice, now: datetime, vault: Vault
) -> None:
    domain, agent = name.domain, name.agent
    stored = record_store.documents(tx, domain, agent, choice.after + 1, choice.until)
    right = {
        sequence: record
        for sequence, record in choice.signed.items()
        if stored.get(sequence) != record
    }
    wrong = {sequence: record for sequence, record in stored.items() if sequence in right}
    new = [Recorded(decode_event(record), record) for record in right.values()]
    gone = store.receipts_at(tx, domain, agent, list(wrong))
    candidate_store.displace(tx, name, wrong, now)
    store.drop_events(tx, domain, agent, list(wrong))
    store.add_events(tx, domain, agent, new, now)
    topic_store.release(tx, name, choice.until)
    witnessing.grow_again(tx, domain, agent, choice.after, now)
    index_again(tx, name, [one.event for one in new], gone, now, vault)
    running = store.count_running(tx, domain, agent)
    tree_store.put(tx, replace(tree_store.find(tx, domain, agent), unfinished=running))
    if wrong:
        timeline.record_change(tx, _told(name, list(wrong), choice.until, now))


def _told(name: AgentName, wrong: list[int], size: int, now: datetime) -> Change:
    which = ", ".join(f"{sequence:,}" for sequence in sorted(wrong)[:20])
    more = f" and {len(wrong) - 20:,} more" if len(wrong) > 20 else ""
    return Change(
        action="evidence.replaced",
        actor=ACTOR,
        time=now,
        reference=str(name),
        summary=(
            f"events {which}{more} of {name} were forged: its checkpoint of {size:,} events"
            " shows others, which are stored now; the forged ones are kept in candidate_record"
        ),
        domain=name.domain,
    )
