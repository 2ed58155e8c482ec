"""StatusService: how the mesh is doing."""

from collections.abc import Callable
from datetime import datetime, timedelta

from control_plane.agents import store as agents
from control_plane.agreements import store as agreements
from control_plane.audit import store as audit
from control_plane.contracts import store as contracts
from control_plane.database import Database
from control_plane.policies import store as policies
from control_plane.timeline import store as timeline
from mesh.v1 import status_pb2, status_pb2_grpc
from mesh.wire.times import to_duration, to_timestamp


class StatusService(status_pb2_grpc.StatusServiceServicer):
    def __init__(
        self, database: Database, lease: timedelta, version: str, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._lease = lease
        self._version = version
        self._clock = clock
        self._started = clock()

    def GetStatus(
        self, request: status_pb2.GetStatusRequest, context: object
    ) -> status_pb2.GetStatusResponse:
        """Counts of what there is, and whether the agents are where they should be."""
        now = self._clock()
        with self._database.reading() as tx:
            in_force = policies.in_force(tx, "")
            enrolled = agents.page(tx, "", "", now, None)
            targets = {
                domain: timeline.distributed_revision(tx, domain)
                for domain in {agent.domain for agent in enrolled}
            }
            current = [
                agent
                for agent in enrolled
                if agent.connected and agent.acknowledged_revision >= targets[agent.domain]
            ]
            return status_pb2.GetStatusResponse(
                version=self._version,
                revision=timeline.heads(tx).revision,
                policy_digest="" if in_force is None else in_force.digest,
                start_time=to_timestamp(self._started),
                products=contracts.count_products(tx),
                active_agreements=agreements.count_active(tx, now),
                agents=len(enrolled),
                agents_current=len(current),
                receipts=audit.count_receipts(tx),
                lease=to_duration(self._lease),
            )
