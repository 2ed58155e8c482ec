"""StatusService: how the mesh is doing."""

from collections.abc import Callable, Iterable
from datetime import datetime

from control_plane.agents import acknowledgement_store as acknowledgements
from control_plane.agents import store as agents
from control_plane.agents.measuring import measured
from control_plane.agreements import store as agreements
from control_plane.audit import store as audit
from control_plane.contracts import store as contracts
from control_plane.database import Database, Transaction
from control_plane.policies import store as policies
from control_plane.timeline import store as timeline
from mesh.contracts.values import Classification
from mesh.leases import Leases
from mesh.v1 import status_pb2, status_pb2_grpc
from mesh.wire.times import to_duration, to_timestamp

MEASURED_CHANGES = 100


class StatusService(status_pb2_grpc.StatusServiceServicer):
    def __init__(
        self, database: Database, leases: Leases, version: str, clock: Callable[[], datetime]
    ) -> None:
        self._database = database
        self._leases = leases
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
                deadlines=self._deadlines(tx, targets),
            )

    def _deadlines(self, tx: Transaction, domains: Iterable[str]) -> list[status_pb2.Deadline]:
        """How long a revocation takes at worst, strictest classification first."""
        changes = timeline.distributed(tx, MEASURED_CHANGES)
        since = changes[-1].revision if changes else 0
        steps = [step for domain in domains for step in acknowledgements.steps(tx, domain, since)]
        found = measured(changes, steps, lambda product: _classes(tx, product))
        deadlines = []
        for one in reversed(Classification):
            lease = to_duration(self._leases[one])
            deadline = status_pb2.Deadline(classification=one, lease=lease)
            if one in found:
                deadline.slowest.CopyFrom(to_duration(found[one].slowest))
                deadline.changes = found[one].changes
            deadlines.append(deadline)
        return deadlines


def _classes(tx: Transaction, product: str) -> frozenset[Classification]:
    """Those of a product's datasets, by its newest contract; all when it has none."""
    domain, _, name = product.partition(".")
    published = contracts.find(tx, domain, name, "")
    if published is None:
        return frozenset(Classification)
    return frozenset(dataset.classification for dataset in published.contract.datasets)
