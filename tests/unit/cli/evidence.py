"""Receipts as agents write them."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from google.protobuf.message import Message

from mesh.decisions.modules import TEST_SUFFIX
from mesh.decisions.policy import Policy
from mesh.evidence.canonical import canonical
from mesh.evidence.events import EventType
from mesh.v1 import audit_pb2, policies_pb2
from mesh.wire.times import to_timestamp
from tests.unit.cli.samples import AGREEMENT_ID, RECEIPT_ID
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import NOW

POLICIES = Path(__file__).parents[3] / "policies"
POLICY = Policy(
    {
        f"library/{path.name}": path.read_text()
        for path in sorted((POLICIES / "library").glob("*.rego"))
        if not path.name.endswith(TEST_SUFFIX)
    }
)
INPUT: dict[str, object] = {
    "action": "read",
    "now": "2026-11-24T22:00:00Z",
    "purpose": "crew-planning",
    "subject": {"kind": "user", "id": "ana", "teams": ["ops"]},
    "agent": {"domain": "bookings", "id": "bookings-1"},
    "product": {
        "domain": "bookings",
        "name": "reservations",
        "version": "1.0.0",
        "status": "active",
        "purposes": ["crew-planning"],
        "residency": None,
        "legal_basis": None,
    },
    "dataset": {
        "name": "passengers",
        "classes": [
            {
                "id": "c0",
                "classification": "confidential",
                "category": "contact",
                "tags": ["pii"],
                "mask": "partial",
            },
            {
                "id": "c1",
                "classification": "public",
                "category": None,
                "tags": [],
                "mask": None,
            },
        ],
    },
    "agreement": {
        "id": AGREEMENT_ID,
        "consumer": "user:ana",
        "domain": "bookings",
        "product": "reservations",
        "purpose": "crew-planning",
        "role": "analyst",
        "datasets": ["passengers"],
        "state": "active",
        "start": "2026-11-01T00:00:00Z",
        "until": "2027-02-22T22:00:00Z",
        "row_filter": {"column": "country", "op": "eq", "value": "NL"},
    },
}
ALLOWED: dict[str, object] = {
    "allow": True,
    "reasons": [],
    "masks": {
        "c0": {"mask": "partial", "rules": ["library.contract"]},
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
DENIED: dict[str, object] = {
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
        "decision": decision,
        "policy_digest": POLICY.digest,
        "engine": "regopy",
        "columns": [
            {"column": "email", "mask": "partial", "rules": ["library.contract"]},
            {"column": "tier", "mask": "clear", "rules": ["library.classification"]},
        ]
        if allowed
        else [],
    }


def _personal(decision: dict[str, object]) -> dict[str, object]:
    allowed = decision["allow"] is True
    return {
        "principal": {"kind": "user", "subject": "ana", "teams": ["ops"]},
        "client": "127.0.0.1",
        "inputs": [INPUT if allowed else {**INPUT, "agreement": None}],
    }


def _event(
    sequence: int,
    kind: EventType,
    data: Mapping[str, object],
    seconds: int,
    personal: Mapping[str, object] | None = None,
) -> audit_pb2.UsageEvent:
    return audit_pb2.UsageEvent(
        id=RECEIPT_ID if sequence == 1 else RECEIPT_ID.replace("a", "b"),
        source="/agents/bookings/bookings-1",
        type=kind.value,
        time=to_timestamp(NOW - timedelta(seconds=60 - seconds)),
        sequence=sequence,
        receipt=RECEIPT_ID,
        data=canonical(data),
        personal=canonical(personal) if personal is not None else b"",
    )


def _opening(decision: dict[str, object]) -> dict[str, object]:
    return {
        "statement": "SELECT * FROM passengers LIMIT ?",
        "purpose": "crew-planning",
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
            _event(1, EventType.STARTED, _opening(decision), 0, _personal(decision)),
            _event(2, EventType.COMPLETED, totals, 1),
        ],
    )


def refused_receipt(decision: dict[str, object] = DENIED) -> audit_pb2.Receipt:
    """A read that was refused."""
    data = _opening(decision) | {
        "reasons": ["agreement.missing"],
        "message": "no agreement lets the reader read bookings.reservations",
    }
    return audit_pb2.Receipt(
        id=RECEIPT_ID,
        domain="bookings",
        agent="bookings-1",
        state="refused",
        events=[_event(1, EventType.REFUSED, data, 0, _personal(decision))],
    )


def serve_policy(control: ControlPlane, policy: Policy = POLICY) -> None:
    """Let the control plane keep the modules under the digest that the evidence names."""
    modules = [policies_pb2.PolicyModule(path=path) for path in sorted(policy.modules)]
    control.answers["GetPolicy"] = policies_pb2.GetPolicyResponse(
        policy=policies_pb2.Policy(digest=POLICY.digest, modules=modules, active=True)
    )

    def module(request: policies_pb2.GetPolicyModuleRequest) -> Message:
        return policies_pb2.GetPolicyModuleResponse(
            module=policies_pb2.PolicyModule(path=request.path, text=policy.modules[request.path])
        )

    control.answers["GetPolicyModule"] = module


def aborted_receipt() -> audit_pb2.Receipt:
    """A read that an agent's restart ended, so that nobody knows how much was handed out."""
    receipt = allowed_receipt()
    receipt.state = "aborted"
    unknown = {"rows": None, "bytes": None, "duration_ms": None, "reason": "agent.restarted"}
    receipt.events[1].CopyFrom(_event(2, EventType.ABORTED, unknown, 1))
    return receipt
