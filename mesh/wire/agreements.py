"""Agreements on the wire."""

from dataclasses import replace

from mesh.agreements.values import Agreement, AgreementState
from mesh.errors import RequestInvalid
from mesh.v1 import agreements_pb2
from mesh.wire.times import from_timestamp, to_timestamp

_STATES: dict[AgreementState, agreements_pb2.AgreementState.ValueType] = {
    AgreementState.REQUESTED: agreements_pb2.AGREEMENT_STATE_REQUESTED,
    AgreementState.REJECTED: agreements_pb2.AGREEMENT_STATE_REJECTED,
    AgreementState.CANCELLED: agreements_pb2.AGREEMENT_STATE_CANCELLED,
    AgreementState.ACTIVE: agreements_pb2.AGREEMENT_STATE_ACTIVE,
    AgreementState.EXPIRED: agreements_pb2.AGREEMENT_STATE_EXPIRED,
    AgreementState.REVOKED: agreements_pb2.AGREEMENT_STATE_REVOKED,
}
_STATES_BACK = {number: state for state, number in _STATES.items()}


def agreement_to_proto(agreement: Agreement) -> agreements_pb2.Agreement:
    """The agreement without what only the control plane knows of its use."""
    message = agreements_pb2.Agreement(
        id=agreement.id,
        domain=agreement.domain,
        product=agreement.product,
        contract_version=agreement.contract_version,
        consumer=agreement.consumer,
        role=agreement.role,
        purpose=agreement.purpose,
        datasets=agreement.datasets,
        justification=agreement.justification,
        requester=agreement.requester,
        state=_STATES[agreement.state],
        request_time=to_timestamp(agreement.requested),
        expire_time=to_timestamp(agreement.expires),
        decider=agreement.decider or "",
        note=agreement.note,
        ender=agreement.ender or "",
        revision=agreement.revision,
    )
    if agreement.decided is not None:
        message.decide_time.CopyFrom(to_timestamp(agreement.decided))
    if agreement.ended is not None:
        message.end_time.CopyFrom(to_timestamp(agreement.ended))
    return message


def enforceable_to_proto(agreement: Agreement) -> agreements_pb2.Agreement:
    """The agreement as agents get it: who asked and decided and what was written are left out."""
    needed = replace(agreement, justification="", requester="", decider=None, note="", ender=None)
    return agreement_to_proto(needed)


def agreement_from_proto(message: agreements_pb2.Agreement) -> Agreement:
    """The agreement. Raises RequestInvalid for an unspecified or unknown state."""
    state = state_from_proto(message.state)
    if state is None:
        raise RequestInvalid(f"agreement {message.id} has no state", field="state")
    return Agreement(
        id=message.id,
        domain=message.domain,
        product=message.product,
        contract_version=message.contract_version,
        consumer=message.consumer,
        role=message.role,
        purpose=message.purpose,
        datasets=tuple(message.datasets),
        justification=message.justification,
        requester=message.requester,
        state=state,
        requested=from_timestamp(message.request_time, "request_time"),
        expires=from_timestamp(message.expire_time, "expire_time"),
        decider=message.decider or None,
        decided=(
            from_timestamp(message.decide_time, "decide_time")
            if message.HasField("decide_time")
            else None
        ),
        note=message.note,
        ender=message.ender or None,
        ended=(
            from_timestamp(message.end_time, "end_time") if message.HasField("end_time") else None
        ),
        revision=message.revision,
    )


def state_from_proto(number: agreements_pb2.AgreementState.ValueType) -> AgreementState | None:
    """The state, None for unspecified. Raises RequestInvalid for an unknown one."""
    if number == agreements_pb2.AGREEMENT_STATE_UNSPECIFIED:
        return None
    state = _STATES_BACK.get(number)
    if state is None:
        raise RequestInvalid(f"agreement state {number} is unknown", field="state")
    return state
