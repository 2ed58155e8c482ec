"""DecisionService: what a read would get, without reading; it leaves no receipt."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import grpc

from domain_agent.flight.calls import read_context
from domain_agent.flight.ports import Verifier
from domain_agent.flight.shares import Shares
from domain_agent.reads.deciding import (
    DatasetDecider,
    DatasetDecision,
    require_purpose,
    valid_until,
)
from domain_agent.snapshot.holder import SnapshotHolder
from mesh.decisions.documents import decision_document
from mesh.evidence.canonical import canonical
from mesh.v1 import decisions_pb2, decisions_pb2_grpc
from mesh.wire.times import to_timestamp


class DecisionsService(decisions_pb2_grpc.DecisionServiceServicer):
    """Answers for the caller only: nobody learns here what somebody else may read."""

    name: str = decisions_pb2.DESCRIPTOR.services_by_name["DecisionService"].full_name

    def __init__(
        self,
        holder: SnapshotHolder,
        decider: DatasetDecider,
        verifier: Verifier,
        now: Callable[[], datetime],
        places: Shares,
    ) -> None:
        self._holder, self._decider, self._verifier = holder, decider, verifier
        self._now, self._places = now, places

    def register(self, server: grpc.Server) -> None:
        """Add the handlers."""
        decisions_pb2_grpc.add_DecisionServiceServicer_to_server(self, server)

    def Decide(  # noqa: N802 - servicer methods carry the names of their RPCs
        self, request: decisions_pb2.DecideRequest, context: grpc.ServicerContext
    ) -> decisions_pb2.DecideResponse:
        """Evaluate one dataset for the caller."""
        reader = replace(
            read_context(context, self._verifier),
            purpose=request.purpose or None,
            agreements=frozenset(request.agreements),
        )
        # Who waits for a revision holds a thread.
        with self._places.held(reader.caller.principal.reference):
            snapshot = self._holder.current(reader.revision)
            purpose = require_purpose(reader, snapshot)
            named = (request.product, request.dataset)
            left = self._holder.lease.remaining(snapshot.classification((named,)))
            made = self._decider.decide(reader, purpose, snapshot, *named)
        until = min(valid_until(reader.caller, (made,)), self._now() + left)
        return _response(made, until)


def _response(made: DatasetDecision, until: datetime) -> decisions_pb2.DecideResponse:
    decision = made.decided.decision
    return decisions_pb2.DecideResponse(
        allow=decision.allow,
        reasons=decision.reasons,
        input=canonical(made.decided.document),
        decision=canonical(decision_document(decision)),
        policy_digest=made.decided.policy_digest,
        columns=[
            decisions_pb2.ColumnOutcome(column=column, mask=choice.mask.value, rules=choice.rules)
            for column, class_id in made.input.classes.items()
            if (choice := decision.masks.get(class_id)) is not None
        ],
        valid_until_time=to_timestamp(until),
    )
