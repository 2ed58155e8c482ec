"""Receipts as agents write them."""

from collections.abc import Mapping
from datetime import timedelta

from mesh.evidence.canonical import canonical
from mesh.evidence.events import EventType
from mesh.v1 import audit_pb2
from mesh.wire.times import to_timestamp
from tests.unit.cli.samples import AGREEMENT_ID, RECEIPT_ID
from tests.unit.cli.terminal import NOW

DIGEST = "ab" * 32
INPUT = {"action": "read", "now": "2026-11-24T22:00:00Z", "purpose": "crew-planning"}
ALLOWED = {
    "allow": True,
    "reasons": [],
    "masks": {
        "c0": {"mask": "partial", "rules": ["library.classification"]},
        "c1": {"mask": "clear", "rules": ["library.classification"]},
    },
    "rows": [
        {
            "rule": "library.role",
            "filter": {"column": "country", "op": "eq", "value": "NL"},
        }
    ],
    "limits": {},
    "valid_until": "2027-02-22T22:00:00Z",
}
DENIED = {
    "allow": False,
    "reasons": ["agreement.missing"],
    "masks": {},
    "rows": [],
    "limits": {},
    "valid_until": None,
}


def decided(decision: dict[str, object]) -> dict[str, object]:
    """One dataset's decision as the first event holds it."""
    allowed = decision["allow"] is True
    return {
        "product": "bookings.reservations",
        "dataset": "passengers",
        "agreement": AGREEMENT_ID if allowed else None,
        "contract_version": "1.0.0",
        "input": INPUT,
        "decision": decision,
        "policy_digest": DIGEST,
        "engine": "regopy",
        "columns": [
            {"column": "email", "mask": "partial", "rules": ["library.classification"]},
            {"column": "tier", "mask": "clear", "rules": ["library.classification"]},
        ]
        if allowed
        else [],
    }


def _event(
    sequence: int, kind: EventType, data: Mapping[str, object], seconds: int
) -> audit_pb2.UsageEvent:
    return audit_pb2.UsageEvent(
        id=RECEIPT_ID if sequence == 1 else RECEIPT_ID.replace("a", "b"),
        source="/agents/bookings/bookings-1",
        type=kind.value,
        time=to_timestamp(NOW - timedelta(seconds=60 - seconds)),
        sequence=sequence,
        receipt=RECEIPT_ID,
        data=canonical(data),
    )


def _opening(decision: dict[str, object]) -> dict[str, object]:
    return {
        "statement": "SELECT * FROM passengers LIMIT ?",
        "purpose": "crew-planning",
        "principal": {"kind": "user", "subject": "ana", "teams": ["ops"]},
        "client": "127.0.0.1",
        "revision": 9,
        "decisions": [decided(decision)],
    }


def allowed_receipt(decision: dict[str, object] = ALLOWED) -> audit_pb2.Receipt:
    """A read that was allowed and completed."""
    totals = {"rows": 5, "bytes": 1_234, "duration_ms": 17}
    return audit_pb2.Receipt(
        id=RECEIPT_ID,
        domain="bookings",
        agent="bookings-1",
        state="completed",
        events=[
            _event(1, EventType.STARTED, _opening(decision), 0),
            _event(2, EventType.COMPLETED, totals, 1),
        ],
    )


def refused_receipt(decision: dict[str, object] = DENIED) -> audit_pb2.Receipt:
    """A read that was refused."""
    data = _opening(decision) | {
        "reasons": ["agreement.missing"],
        "message": "no agreement lets user:ana read bookings.reservations",
    }
    return audit_pb2.Receipt(
        id=RECEIPT_ID,
        domain="bookings",
        agent="bookings-1",
        state="refused",
        events=[_event(1, EventType.REFUSED, data, 0)],
    )
