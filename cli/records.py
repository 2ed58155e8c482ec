"""What the services answer, as records for people and scripts; stable names, stable order."""

from datetime import UTC, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from mesh.agreements.values import AgreementState
from mesh.contracts.masks import least_mask
from mesh.contracts.values import Classification
from mesh.masks import Mask
from mesh.v1 import (
    agents_pb2,
    agreements_pb2,
    audit_pb2,
    contracts_pb2,
    identity_pb2,
    opas_pb2,
    purposes_pb2,
)

COUNTED = frozenset({"read.completed", "read.aborted"})
STATE_PREFIX = "AGREEMENT_STATE_"


def instant(stamp: Timestamp) -> datetime | None:
    """The instant, or None where it is unset."""
    if not stamp.seconds and not stamp.nanos:
        return None
    return stamp.ToDatetime(tzinfo=UTC)


def contract(message: contracts_pb2.Contract) -> dict[str, object]:
    """A contract without its document."""
    return {
        "product": f"{message.domain}.{message.product}",
        "version": message.version,
        "status": message.status,
        "title": message.title,
        "owners": list(message.owners),
        "purposes": list(message.purposes),
        "roles": [
            {"name": r.name, "description": r.description, "row_filter": r.row_filter or None}
            for r in message.roles
        ],
        "datasets": [dataset(d) for d in message.datasets],
        "contract_id": message.contract_id,
        "digest": message.digest.hex(),
        "publisher": message.publisher,
        "publish_time": instant(message.publish_time),
        "revision": message.revision,
        "addresses": list(message.flight_uris),
    }


def dataset(message: contracts_pb2.Dataset) -> dict[str, object]:
    """A dataset with its columns."""
    return {
        "name": message.name,
        "description": message.description,
        "columns": [column(c) for c in message.columns],
    }


def column(message: contracts_pb2.Column) -> dict[str, object]:
    """A column with what policies may know of it."""
    return {
        "column": message.name,
        "type": message.physical_type or message.logical_type,
        "classification": message.classification,
        "category": message.category or None,
        "tags": list(message.tags),
        "mask": message.mask or None,
        "least_mask": _least_mask(message),
        "subject_key": message.subject_key,
        "description": message.description,
    }


def _least_mask(message: contracts_pb2.Column) -> str | None:
    """What the library makes of the column at least; None for words of a newer server."""
    try:
        declared = Mask(message.mask) if message.mask else None
        return least_mask(Classification(message.classification), declared).value
    except ValueError:
        return None


def agreement(message: agreements_pb2.Agreement) -> dict[str, object]:
    """An agreement as it stands."""
    return {
        "id": message.id,
        "state": state(message.state),
        "product": f"{message.domain}.{message.product}",
        "consumer": message.consumer,
        "role": message.role,
        "purpose": message.purpose,
        "until": instant(message.expire_time),
        "datasets": list(message.datasets),
        "contract_version": message.contract_version,
        "justification": message.justification,
        "requester": message.requester,
        "requested": instant(message.request_time),
        "approvers": list(message.approvers),
        "decider": message.decider or None,
        "decided": instant(message.decide_time),
        "note": message.note or None,
        "ender": message.ender or None,
        "ended": instant(message.end_time),
        "enforced": instant(message.enforce_time),
        "first_read": instant(message.first_read_time),
        "revision": message.revision,
    }


def state(number: agreements_pb2.AgreementState.ValueType) -> str:
    """The state's word; a newer server's unknown state is its number."""
    try:
        name = agreements_pb2.AgreementState.Name(number)
    except ValueError:
        return str(int(number))
    return name.removeprefix(STATE_PREFIX).lower()


def state_number(word: str | None) -> agreements_pb2.AgreementState.ValueType:
    """The number of a state's word; None means all."""
    if word is None:
        return agreements_pb2.AGREEMENT_STATE_UNSPECIFIED
    return agreements_pb2.AgreementState.Value(f"{STATE_PREFIX}{AgreementState(word).name}")


def agent(message: agents_pb2.Agent) -> dict[str, object]:
    """An agent, without its products."""
    return {
        "agent": f"{message.domain}/{message.id}",
        "connected": message.connected,
        "address": message.flight_uri or None,
        "version": message.version or None,
        "enrolled": instant(message.enrol_time),
        "heard": instant(message.contact_time),
        "acknowledged_revision": message.acknowledged_revision,
        "target_revision": message.target_revision,
        "refusal": message.refusal or None,
        "policy_digest": message.policy_digest or None,
        "spooled_events": message.spooled_events,
        "key_digest": message.key_digest,
    }


def opa(message: opas_pb2.Opa) -> dict[str, object]:
    """An OPA that is no agent."""
    return {
        "opa": f"{message.domain}/{message.id}",
        "reporter": message.reporter,
        "version": message.version or None,
        "active_revision": message.active_revision or None,
        "target_revision": message.target_revision,
        "policy_digest": message.policy_digest or None,
        "problem": message.problem or None,
        "heard": instant(message.contact_time),
    }


def product_report(message: agents_pb2.ProductReport) -> dict[str, object]:
    """How publishing one file of an agent went."""
    return {
        "file": message.file,
        "product": message.product or None,
        "version": message.version or None,
        "outcome": message.outcome,
        "reason": message.reason or None,
        "message": message.message or None,
    }


def entry(message: audit_pb2.Entry) -> dict[str, object]:
    """One line of the audit."""
    return {
        "time": instant(message.time),
        "action": message.action,
        "actor": message.actor,
        "product": message.product or None,
        "reference": message.reference,
        "purpose": message.purpose or None,
        "rows": message.rows if message.action in COUNTED else None,
        "reasons": list(message.reasons),
        "summary": message.summary,
        "kind": message.kind,
        "revision": message.revision or None,
        "cursor": message.cursor,
    }


def purpose(message: purposes_pb2.Purpose) -> dict[str, object]:
    """A registered purpose."""
    return {
        "id": message.id,
        "title": message.title,
        "creator": message.creator,
        "created": instant(message.create_time),
        "revision": message.revision,
    }


def principal(message: identity_pb2.Principal) -> dict[str, object]:
    """Who somebody is."""
    return {
        "principal": f"{message.kind}:{message.subject}",
        "teams": list(message.teams),
        "duties": list(message.duties),
    }
