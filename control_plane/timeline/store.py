"""The timeline's tables. Revisions and positions are allocated under one row lock."""

import re
from collections.abc import Mapping, Sequence

from sqlalchemy import (
    ColumnElement,
    exists,
    func,
    or_,
    tuple_,
    update,
)
from sqlmodel import col, select

from control_plane.bulk import among, insert_rows, update_rows
from control_plane.database import HEADS, Transaction
from control_plane.notices import Heads
from control_plane.timeline.rules import Change, Distributed, Entry, Read, Sight, Wanted, class_bits
from control_plane.timeline.tables import CounterRow, EntryProductRow, EntryRow

_READ, _CHANGE = "read", "change"
_ENTRY = ("id",)


def record_change(tx: Transaction, change: Change) -> int:
    """Write a change; its new revision."""
    return record_changes(tx, [change])


def record_changes(tx: Transaction, changes: Sequence[Change]) -> int:
    """Write changes; the revision of the last, 0 when there is none."""
    if not changes:
        return 0
    count = len(changes)
    last = allocate(tx, positions=count, revisions=count)
    position, revision = last.position - count + 1, last.revision - count + 1
    rows = [_changed(one, position + n, revision + n) for n, one in enumerate(changes)]
    insert_rows(tx, EntryRow, rows)
    products = [
        {"entry": position + n, "product": one.product, "classes": 0}
        for n, one in enumerate(changes)
        if one.product
    ]
    insert_rows(tx, EntryProductRow, products)
    return last.revision


def record_reads(tx: Transaction, reads: Sequence[Read]) -> None:
    """Write reads, one for each agent's receipt, or what became of them; who read what stays."""
    if not reads:
        return
    last = allocate(tx, positions=len(reads)).position
    ids = _known(tx, [read.receipt for read in reads])
    new: list[tuple[int, Read]] = []
    moved: list[dict[str, object]] = []
    for position, read in enumerate(reads, last - len(reads) + 1):
        entry = ids.get((read.domain, read.agent, read.receipt))
        if entry is None:
            new.append((position, read))
        else:
            moved.append({"id": entry, "position": position, **_state(read)})
    insert_rows(tx, EntryRow, [_read(read, position) for position, read in new])
    products = [row for position, read in new for row in _products(read, position)]
    insert_rows(tx, EntryProductRow, products)
    update_rows(tx, EntryRow, _ENTRY, moved)


def heads(tx: Transaction) -> Heads:
    """The latest revision and position."""
    row = tx.exec(select(CounterRow)).one()
    return Heads(row.revision, row.position)


def distributed_revision(tx: Transaction, domain: str) -> int:
    """The latest revision that the agents of a domain must learn of; 0 when there is none."""
    latest = tx.exec(
        select(func.max(EntryRow.revision)).where(
            col(EntryRow.distributed),
            or_(col(EntryRow.domain) == domain, col(EntryRow.domain).is_(None)),
        )
    ).one()
    return latest or 0


def distributed(tx: Transaction, limit: int) -> list[Distributed]:
    """The latest changes that agents had to learn of, newest first."""
    query = (
        select(EntryRow.revision, EntryRow.time, EntryRow.domain, EntryRow.product)
        .where(col(EntryRow.distributed), col(EntryRow.revision).is_not(None))
        .order_by(col(EntryRow.revision).desc())
        .limit(limit)
    )
    return [Distributed(revision or 0, *rest) for revision, *rest in tx.exec(query)]


def newest(
    tx: Transaction, sight: Sight, wanted: Wanted, before: int | None, limit: int
) -> list[Entry]:
    """Entries by time, newest first, after the entry with id `before`."""
    query = select(EntryRow).where(*_seen(sight), *_selected(wanted))
    if before is not None:
        last = select(EntryRow.time).where(col(EntryRow.id) == before).scalar_subquery()
        query = query.where(tuple_(col(EntryRow.time), col(EntryRow.id)) < tuple_(last, before))
    query = query.order_by(col(EntryRow.time).desc(), col(EntryRow.id).desc()).limit(limit)
    return [_entry(row) for row in tx.exec(query)]


def arrived(tx: Transaction, sight: Sight, after: int, limit: int) -> list[Entry]:
    """Entries that arrived or changed after a position, in that order."""
    query = (
        select(EntryRow)
        .where(col(EntryRow.position) > after, *_seen(sight))
        .order_by(col(EntryRow.position))
        .limit(limit)
    )
    return [_entry(row) for row in tx.exec(query)]


def allocate(tx: Transaction, positions: int, revisions: int = 0) -> Heads:
    """The last of the positions and revisions allocated."""
    allocated = tx.execute(
        update(CounterRow)
        .values(position=CounterRow.position + positions, revision=CounterRow.revision + revisions)
        .returning(col(CounterRow.position), col(CounterRow.revision))
    ).one()
    heads = Heads(revision=allocated[1], position=allocated[0])
    tx.info[HEADS] = heads
    return heads


def _known(tx: Transaction, receipts: Sequence[str]) -> dict[tuple[str | None, str, str], int]:
    """The entries of reads with those receipts, by domain, agent and receipt."""
    query = select(EntryRow.domain, EntryRow.agent, EntryRow.reference, EntryRow.id).where(
        col(EntryRow.kind) == _READ, among(tx, col(EntryRow.reference), receipts)
    )
    return {(domain, agent, receipt): entry for domain, agent, receipt, entry in tx.exec(query)}


def _changed(change: Change, position: int, revision: int) -> dict[str, object]:
    return {
        "id": position,
        "position": position,
        "time": change.time,
        "kind": _CHANGE,
        "action": change.action,
        "actor": change.actor,
        "domain": change.domain,
        "agent": "",
        "product": change.product,
        "reference": change.reference,
        "purpose": "",
        "summary": change.summary,
        "revision": revision,
        "distributed": change.distributed,
        "rows": 0,
        "reasons": [],
    }


def _read(read: Read, position: int) -> dict[str, object]:
    return {
        "id": position,
        "position": position,
        "time": read.time,
        "kind": _READ,
        "actor": read.actor,
        "domain": read.domain,
        "agent": read.agent,
        "product": ", ".join(read.products),
        "reference": read.receipt,
        "purpose": read.purpose,
        "revision": None,
        "distributed": False,
        **_state(read),
    }


def _state(read: Read) -> dict[str, object]:
    """What later events of a read change."""
    return {
        "action": read.action,
        "summary": read.summary,
        "rows": read.rows,
        "reasons": list(read.reasons),
    }


def _products(read: Read, position: int) -> list[dict[str, object]]:
    classes = dict.fromkeys(read.products, 0)
    for product, word in read.classified:
        if product in classes:
            classes[product] |= class_bits((word,))
    return [
        {"entry": position, "product": product, "classes": bits}
        for product, bits in classes.items()
    ]


def _seen(sight: Sight) -> list[ColumnElement[bool]]:
    if sight.everything:
        return []
    return [
        or_(
            col(EntryRow.actor) == sight.actor,
            col(EntryRow.domain).in_(sorted(sight.domains)),
        )
    ]


def _selected(wanted: Wanted) -> list[ColumnElement[bool]]:
    selected: list[ColumnElement[bool]] = []
    if wanted.kind:
        selected.append(col(EntryRow.kind) == wanted.kind)
    if wanted.actor:
        selected.append(col(EntryRow.actor) == wanted.actor)
    if wanted.since is not None:
        selected.append(col(EntryRow.time) >= wanted.since)
    if wanted.until is not None:
        selected.append(col(EntryRow.time) < wanted.until)
    if wanted.purpose:
        selected.append(col(EntryRow.purpose) == wanted.purpose)
    if wanted.outcome:
        selected.append(col(EntryRow.action) == f"read.{wanted.outcome}")
    product = _product_selected(wanted)
    if product:
        selected.append(exists().where(col(EntryProductRow.entry) == col(EntryRow.id), *product))
    return selected


def _product_selected(wanted: Wanted) -> list[ColumnElement[bool]]:
    """What one of an entry's products must be; product and classification mean the same one."""
    selected: list[ColumnElement[bool]] = []
    if wanted.product:
        selected.append(col(EntryProductRow.product) == wanted.product)
    if wanted.classification:
        bit = class_bits((wanted.classification,))
        selected.append(col(EntryProductRow.classes).bitwise_and(bit) != 0)
    return selected


def _entry(row: EntryRow) -> Entry:
    return Entry(
        id=row.id,
        position=row.position,
        time=row.time,
        kind=row.kind,
        action=row.action,
        actor=row.actor,
        product=row.product,
        reference=row.reference,
        purpose=row.purpose,
        summary=row.summary,
        revision=row.revision or 0,
        rows=row.rows,
        reasons=tuple(row.reasons),
    )


def set_actors(tx: Transaction, domain: str, agent: str, actors: Mapping[str, str]) -> None:
    """Name who read, by receipt; readers of a tail see those entries again."""
    ids = _known(tx, list(actors))
    found = {
        receipt: ids[domain, agent, receipt]
        for receipt in actors
        if (domain, agent, receipt) in ids
    }
    if not found:
        return
    last = allocate(tx, positions=len(found)).position
    rows = [
        {"id": entry, "actor": actors[receipt], "position": last - len(found) + number}
        for number, (receipt, entry) in enumerate(found.items(), 1)
    ]
    update_rows(tx, EntryRow, _ENTRY, rows)


def erase_principal(tx: Transaction, principal: str, blank: str) -> None:
    """Put something else wherever the timeline names a principal, such as `user:ana`."""
    tx.execute(update(EntryRow).where(col(EntryRow.actor) == principal).values(actor=blank))
    name = re.compile(rf"(?<![\w:.@-]){re.escape(principal)}(?![\w@-]|\.\w)")
    told = select(EntryRow.id, EntryRow.summary).where(
        col(EntryRow.kind) == _CHANGE, col(EntryRow.summary).contains(principal, autoescape=True)
    )
    changed = [{"id": id_, "summary": name.sub(blank, text)} for id_, text in tx.exec(told)]
    update_rows(tx, EntryRow, _ENTRY, changed)
