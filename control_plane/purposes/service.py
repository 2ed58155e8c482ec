"""PurposeService: the registered reasons for processing."""

from collections.abc import Callable
from datetime import datetime

from control_plane.calls import current_caller
from control_plane.database import Database
from control_plane.purposes import rules, store
from control_plane.purposes.wire import purpose_to_proto
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change, page_limit
from mesh.v1 import purposes_pb2, purposes_pb2_grpc


class PurposeService(purposes_pb2_grpc.PurposeServiceServicer):
    def __init__(self, database: Database, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock

    def AddPurpose(
        self, request: purposes_pb2.AddPurposeRequest, context: object
    ) -> purposes_pb2.AddPurposeResponse:
        """Register a purpose; the same again changes nothing."""
        creator, now = current_caller().principal.reference, self._clock()
        with self._database.writing() as tx:
            known = store.find(tx, request.id)
            rules.check_new(request.id, request.title, known)
            if known is not None:
                return purposes_pb2.AddPurposeResponse(
                    purpose=purpose_to_proto(known), created=False
                )
            revision = timeline.record_change(
                tx,
                Change(
                    action="purpose.added",
                    actor=creator,
                    time=now,
                    reference=request.id,
                    summary=request.title,
                    distributed=True,
                ),
            )
            purpose = rules.Purpose(request.id, request.title, creator, now, revision)
            store.add(tx, purpose)
        return purposes_pb2.AddPurposeResponse(purpose=purpose_to_proto(purpose), created=True)

    def ListPurposes(
        self, request: purposes_pb2.ListPurposesRequest, context: object
    ) -> purposes_pb2.ListPurposesResponse:
        """One page of purposes, by id."""
        limit = page_limit(request.page_size)
        with self._database.reading() as tx:
            purposes = store.page(tx, request.page_token, limit + 1)
        return purposes_pb2.ListPurposesResponse(
            purposes=[purpose_to_proto(purpose) for purpose in purposes[:limit]],
            next_page_token=purposes[limit - 1].id if len(purposes) > limit else "",
        )
