"""IdentityService: tokens, and who the caller is."""

from collections.abc import Callable
from datetime import datetime

from control_plane.calls import current_caller
from control_plane.database import Database
from control_plane.identity import rules
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from mesh.identity.tokens import TokenIssuer
from mesh.times import rfc3339
from mesh.v1 import identity_pb2, identity_pb2_grpc
from mesh.wire.principals import principal_from_proto, principal_to_proto
from mesh.wire.times import from_duration, to_timestamp


class IdentityService(identity_pb2_grpc.IdentityServiceServicer):
    def __init__(
        self,
        database: Database,
        issuer: TokenIssuer,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._issuer = issuer
        self._clock = clock
        self._new_id = new_id

    def IssueToken(
        self, request: identity_pb2.IssueTokenRequest, context: object
    ) -> identity_pb2.IssueTokenResponse:
        """A token for the caller, or, by admin and security, for somebody else."""
        caller, now = current_caller(), self._clock()
        plan = rules.plan_token(
            caller,
            principal_from_proto(request.principal) if request.HasField("principal") else None,
            request.domain,
            from_duration(request.lifetime, "lifetime") if request.HasField("lifetime") else None,
            now,
        )
        token_id = self._new_id()
        if plan.for_other:
            with self._database.writing() as tx:
                timeline.record_change(
                    tx,
                    Change(
                        action="token.issued",
                        actor=caller.principal.reference,
                        time=now,
                        reference=token_id,
                        domain=request.domain or None,
                        summary=(
                            f"token for {plan.principal.reference} towards {plan.audience}"
                            f" until {rfc3339(plan.expires)}"
                        ),
                    ),
                )
        token = self._issuer.issue(plan.principal, plan.audience, token_id, now, plan.expires)
        return identity_pb2.IssueTokenResponse(
            token=token,
            audience=plan.audience,
            expire_time=to_timestamp(plan.expires.replace(microsecond=0)),
            principal=principal_to_proto(plan.principal),
        )

    def GetCaller(
        self, request: identity_pb2.GetCallerRequest, context: object
    ) -> identity_pb2.GetCallerResponse:
        """Who the control plane takes the caller for."""
        caller = current_caller()
        return identity_pb2.GetCallerResponse(
            principal=principal_to_proto(caller.principal),
            expire_time=to_timestamp(caller.expires),
        )
