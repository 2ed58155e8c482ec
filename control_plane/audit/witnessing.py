"""Each agent's log beside what the agent signed of it: the tree grows, and forks are told."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from control_plane.audit import checkpoint_store, record_store, tree_store
from control_plane.audit.checkpoint_store import KeptCheckpoint
from control_plane.audit.heads import Acceptance, Standing, accept_checkpoint
from control_plane.audit.tiles import TreeDamaged, grown
from control_plane.audit.tree_store import Span, StoredLog
from control_plane.database import Transaction
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from mesh.errors import EvidenceInvalid
from mesh.evidence.checkpoints import (
    Checkpoint,
    CheckpointInvalid,
    open_checkpoint,
    read_checkpoint,
)
from mesh.evidence.codec import Recorded, decode_event
from mesh.evidence.events import EventType, UsageEvent
from mesh.evidence.merkle import frontier_at, leaf_hash

_AT_ONCE = 1_000


def grow(
    tx: Transaction,
    domain: str,
    agent: str,
    events: Sequence[Recorded],
    now: datetime,
) -> None:
    """Take the agent's next events into its tree, and compare what it signed of them.

    A tree can't go on after records that are missing.
    """
    _grow(tx, domain, agent, events, now, oldest=now)


def _grow(
    tx: Transaction,
    domain: str,
    agent: str,
    events: Sequence[Recorded],
    now: datetime,
    oldest: datetime,
) -> None:
    log = tree_store.find(tx, domain, agent)
    sequence = events[0].event.sequence
    if sequence > log.size + 1:
        problem = log.problem or _gap(log.size + 1, sequence - 1)
        tree_store.put(tx, replace(log, arrival=now, problem=problem))
        return
    if sequence <= log.size:
        _tell(tx, replace(log, arrival=now), now, _ahead(log, sequence))
        return
    leaves = [leaf_hash(one.record) for one in events]
    last = tree_store.last_tiles(tx, domain, agent, log.size)
    tree_store.put_tiles(tx, domain, agent, grown(log.size, last, leaves), last, Span(oldest, now))
    frontier, verified, problem = log.frontier, log.verified_size, ""
    for kept in _pending(tx, log, len(leaves)):
        frontier = frontier.extend(leaves[frontier.size - log.size : kept.size - log.size])
        others = checkpoint_store.roots_at(tx, domain, agent, kept.size) - {kept.root}
        found = accept_checkpoint(read_checkpoint(kept.note), frontier.size, frontier.root, others)
        checkpoint_store.settle(tx, domain, agent, kept, found.standing)
        problem = problem or found.problem
        if found.standing is Standing.FITS:
            verified = kept.size
    frontier = frontier.extend(leaves[frontier.size - log.size :])
    unfinished = max(0, log.unfinished + sum(_still_running(one.event) for one in events))
    log = replace(
        log, frontier=frontier, verified_size=verified, unfinished=unfinished, arrival=now
    )
    _tell(tx, log, now, problem)


def catch_up(tx: Transaction, domain: str, agent: str, now: datetime) -> None:
    """Let the tree go on where records that were missing are stored by now."""
    log = tree_store.find(tx, domain, agent)
    last = log.size
    while records := record_store.documents(tx, domain, agent, last + 1, last + _AT_ONCE):
        run: list[Recorded] = []
        while (record := records.get(last + 1)) is not None:
            run.append(Recorded(decode_event(record), record))
            last += 1
        if not run:
            break
        times = record_store.stored(tx, domain, agent, last - len(run), last)
        if _is_gap(log.problem, log.size):
            log = replace(log, problem="")
            tree_store.put(tx, log)
        _grow(tx, domain, agent, run, now, min(one.time for one in times.values()))
    log = tree_store.find(tx, domain, agent)
    later = record_store.first_after(tx, domain, agent, log.size)
    if later is not None and not log.problem:
        tree_store.put(tx, replace(log, problem=_gap(log.size + 1, later - 1)))


def grow_again(tx: Transaction, domain: str, agent: str, size: int, now: datetime) -> None:
    """Let the tree grow from a size on again, as other records are stored behind it now.

    What was wrong with the log before that size stays its problem.
    """
    log = tree_store.find(tx, domain, agent)
    frontier = frontier_at(tree_store.nodes(tx, domain, agent), size)
    tree_store.cut(tx, domain, agent, size)
    checkpoint_store.reopen(tx, domain, agent, size)
    forked = checkpoint_store.forked(tx, domain, agent, 1)
    problem = log.problem if forked else ""
    tree_store.put(tx, replace(log, frontier=frontier, problem=problem))
    catch_up(tx, domain, agent, now)


def witness(
    tx: Transaction, domain: str, agent: str, note: str, public_key: bytes, now: datetime
) -> None:
    """Keep an agent's checkpoint and compare it with what is stored; a fork is told, not refused.

    Raises EvidenceInvalid for a note that the agent's key did not sign.
    """
    checkpoint = _opened(note, domain, agent, public_key)
    size = checkpoint.size
    signed = checkpoint_store.roots_at(tx, domain, agent, size)
    if checkpoint.root in signed or not size:
        return
    log = tree_store.find(tx, domain, agent)
    found = _accepted(tx, log, checkpoint, signed)
    before = checkpoint_store.latest(tx, domain, agent, Standing.FITS)
    kept = KeptCheckpoint(size, checkpoint.root, note, now, found.standing)
    checkpoint_store.add(tx, domain, agent, kept)
    if before is not None and before.arrival.hour != now.hour:
        checkpoint_store.thin_out(tx, domain, agent, now)
    fits = found.standing is Standing.FITS
    log = replace(
        log,
        witnessed_size=max(log.witnessed_size, size),
        verified_size=max(log.verified_size, size if fits else 0),
    )
    _tell(tx, log, now, found.problem)


def _pending(tx: Transaction, log: StoredLog, more: int) -> list[KeptCheckpoint]:
    """What waits for the next records; nothing does where the agent signed for no more."""
    if log.witnessed_size <= log.size:
        return []
    return checkpoint_store.pending(tx, log.domain, log.agent, log.size, log.size + more)


def _accepted(
    tx: Transaction, log: StoredLog, checkpoint: Checkpoint, signed: frozenset[bytes]
) -> Acceptance:
    if checkpoint.size > log.size:
        return accept_checkpoint(checkpoint, log.size, None, signed)
    nodes = tree_store.nodes(tx, log.domain, log.agent)
    try:
        root = frontier_at(nodes, checkpoint.size).root
    except TreeDamaged as error:
        return Acceptance(Standing.PENDING, f"what is stored can't be compared: {error}")
    return accept_checkpoint(checkpoint, log.size, root, signed)


def _opened(note: str, domain: str, agent: str, public_key: bytes) -> Checkpoint:
    try:
        checkpoint = open_checkpoint(note, public_key)
    except CheckpointInvalid as error:
        raise EvidenceInvalid(f"the checkpoint is refused: {error}") from error
    if (checkpoint.domain, checkpoint.agent) != (domain, agent):
        raise EvidenceInvalid(
            f"the checkpoint is of {checkpoint.source}; this agent may report its own log only"
        )
    return checkpoint


def _still_running(event: UsageEvent) -> int:
    """How many more reads run after the event."""
    if event.type is EventType.STARTED:
        return 1
    return -1 if event.type in (EventType.COMPLETED, EventType.ABORTED) else 0


def _gap(first: int, last: int) -> str:
    return (
        f"records {first:,} to {last:,} are missing, so what follows can't be compared with what"
        " the agent signed"
    )


def _is_gap(problem: str, size: int) -> bool:
    """Whether a problem is that the records after a size are missing."""
    start, end = _gap(size + 1, 0).split(" to 0 ")
    return problem.startswith(f"{start} to ") and problem.endswith(end)


def _ahead(log: StoredLog, sequence: int) -> str:
    return (
        f"record {sequence:,} came while the tree of {log.domain}/{log.agent} has {log.size:,};"
        " what is stored was changed from outside"
    )


def _tell(tx: Transaction, log: StoredLog, now: datetime, problem: str) -> None:
    """Store the log; its first problem stays, and is told in the timeline."""
    if problem and not log.problem:
        name = f"{log.domain}/{log.agent}"
        change = Change(
            action="evidence.forked",
            actor=f"agent:{name}",
            time=now,
            reference=name,
            summary=problem,
            domain=log.domain,
        )
        timeline.record_change(tx, change)
        log = replace(log, problem=problem)
    tree_store.put(tx, log)
