"""What is said and shown of the logs: stretches with their checkpoints, pieces, proofs."""

from dataclasses import dataclass

from control_plane.agents.rules import EnrolledAgent
from control_plane.audit import checkpoint_store, record_store, tree_store
from control_plane.audit.heads import Standing
from control_plane.audit.rules import Receipt
from control_plane.audit.tiles import WIDTH
from control_plane.audit.tree_store import StoredLog
from control_plane.database import Transaction
from control_plane.logs.rules import PIECE_RECORDS, Wanted, next_piece
from mesh.errors import EvidenceUnsigned
from mesh.evidence.manifests import Leaves, Selection, Stretch
from mesh.evidence.merkle import HASH_BYTES, frontier_at, inclusion_path

_FORKS_SHOWN = 16


@dataclass(frozen=True, slots=True)
class Proof:
    """A receipt's records by sequence, the checkpoint that includes them, and their paths."""

    checkpoint: str
    records: dict[int, bytes]
    paths: dict[int, list[bytes]]


def stretch(tx: Transaction, agent: EnrolledAgent, selection: Selection) -> Stretch:
    """The part of an agent's log that holds what is selected, up to a checkpoint."""
    domain, name = agent.domain, agent.id
    log = tree_store.find(tx, domain, name)
    after, until = _bounds(tx, log, selection)
    notes = [kept.note for kept in checkpoint_store.forked(tx, domain, name, _FORKS_SHOWN)]
    for found in (
        checkpoint_store.last_fitting(tx, domain, name, until),
        checkpoint_store.latest(tx, domain, name, Standing.PENDING),
    ):
        if found is not None and found.size >= after:
            notes.append(found.note)
    return Stretch(
        domain=domain,
        agent=name,
        public_key=agent.public_key,
        frontier=frontier_at(tree_store.nodes(tx, domain, name), after),
        until=until,
        checkpoints=tuple(notes),
        problem=log.problem,
    )


def piece(tx: Transaction, wanted: Wanted, after: int, until: int) -> tuple[Leaves, list[bytes]]:
    """The leaves after a record that go into one message, and their records that are whole."""
    domain, agent = wanted.domain, wanted.agent
    stop = min(after + PIECE_RECORDS, until)
    stored = record_store.stored(tx, domain, agent, after, stop)
    chosen = next_piece(wanted, after, until, stored)
    hashes = tree_store.leaves(tx, domain, agent, after, chosen.last)
    # What the tree lacks fits no record, and so is found.
    hashes += [bytes(HASH_BYTES)] * (chosen.last - after - len(hashes))
    records: dict[int, bytes] = {}
    if chosen.whole:
        first, last = chosen.whole[0], chosen.whole[-1]
        records = record_store.documents(tx, domain, agent, first, last)
    kept = checkpoint_store.fitting(tx, domain, agent, after, chosen.last)
    leaves = Leaves(
        domain=domain,
        agent=agent,
        first=after + 1,
        hashes=tuple(hashes),
        whole=chosen.whole,
        selection=wanted.selection,
        checkpoints=tuple(one.note for one in kept),
    )
    return leaves, [records[n] for n in chosen.whole if n in records]


def prove(tx: Transaction, receipt: Receipt) -> Proof:
    """Proofs that the smallest checkpoint that can includes the records.

    Raises EvidenceUnsigned.
    """
    domain, agent = receipt.domain, receipt.agent
    records = record_store.of_receipt(tx, receipt)
    found = checkpoint_store.first_fitting(tx, domain, agent, max(records, default=1))
    if found is None:
        raise EvidenceUnsigned(
            f"no checkpoint of {domain}/{agent} covers receipt {receipt.id} yet; an agent signs"
            " one within seconds, so try again (`mesh audit status` shows how far it is)",
            receipt=receipt.id,
        )
    nodes = tree_store.nodes(tx, domain, agent)
    paths = {n: inclusion_path(nodes, n - 1, found.size) for n in records}
    return Proof(found.note, records, paths)


def _bounds(tx: Transaction, log: StoredLog, selection: Selection) -> tuple[int, int]:
    """The stretch with everything selected, from a tile's start to a checkpoint if there is one."""
    since, before = selection.since, selection.before
    if since is None and before is None:
        return 0, log.size
    tiles = tree_store.window(tx, log.domain, log.agent, since, before)
    if tiles is None:
        return log.verified_size, log.verified_size
    end = min((tiles[1] + 1) * WIDTH, log.size)
    covering = checkpoint_store.first_fitting(tx, log.domain, log.agent, end)
    return tiles[0] * WIDTH, log.size if covering is None else covering.size
