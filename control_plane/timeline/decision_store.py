"""Decisions that OPAs tell of, in the timeline's tables: each once, however often it is told."""

from collections.abc import Sequence

from sqlmodel import col, select

from control_plane.bulk import among, insert_rows
from control_plane.database import Transaction
from control_plane.timeline.rules import ToldDecision
from control_plane.timeline.store import allocate
from control_plane.timeline.tables import EntryProductRow, EntryRow

_DECISION = "decision"


def record_decisions(tx: Transaction, told: Sequence[ToldDecision]) -> int:
    """Write those that are not written yet; how many that were."""
    fresh = {(one.domain, one.opa, one.id): one for one in reversed(told)}
    for known in _known(tx, [one.id for one in told]):
        fresh.pop(known, None)
    new = list(fresh.values())[::-1]
    if not new:
        return 0
    first = allocate(tx, positions=len(new)).position - len(new) + 1
    insert_rows(tx, EntryRow, [_row(one, first + n) for n, one in enumerate(new)])
    products = [
        {"entry": first + n, "product": one.product, "classes": 0}
        for n, one in enumerate(new)
        if one.product
    ]
    insert_rows(tx, EntryProductRow, products)
    return len(new)


def _known(tx: Transaction, ids: Sequence[str]) -> list[tuple[str, str, str]]:
    query = select(EntryRow.domain, EntryRow.agent, EntryRow.reference).where(
        col(EntryRow.kind) == _DECISION, among(tx, col(EntryRow.reference), ids)
    )
    return [(domain or "", opa, id_) for domain, opa, id_ in tx.exec(query)]


def _row(one: ToldDecision, position: int) -> dict[str, object]:
    return {
        "id": position,
        "position": position,
        "time": one.time,
        "kind": _DECISION,
        "action": "decision.allowed" if one.allow else "decision.denied",
        "actor": one.actor,
        "domain": one.domain,
        "agent": one.opa,
        "product": one.product,
        "reference": one.id,
        "purpose": one.purpose,
        "summary": one.summary,
        "revision": None,
        "distributed": False,
        "rows": 0,
        "reasons": list(one.reasons),
    }
