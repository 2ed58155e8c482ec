"""OpaService: how the OPAs are, and the key that their bundles are verified with."""

from control_plane.database import Database
from control_plane.identity.keys import BundleKey
from control_plane.opa import store
from control_plane.opa.bundles import ALGORITHM
from control_plane.opa.rules import KnownOpa
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import page_limit
from mesh.errors import OpaNotServed
from mesh.v1 import opas_pb2, opas_pb2_grpc
from mesh.wire.times import to_timestamp


class OpaService(opas_pb2_grpc.OpaServiceServicer):
    """`key` is None where no bundles are served."""

    def __init__(self, database: Database, key: BundleKey | None) -> None:
        self._database, self._key = database, key

    def ListOpas(
        self, request: opas_pb2.ListOpasRequest, context: object
    ) -> opas_pb2.ListOpasResponse:
        """One page of OPAs by domain and id."""
        limit = page_limit(request.page_size)
        with self._database.reading() as tx:
            found = store.page(tx, request.domain, request.page_token, limit + 1)
            targets = {
                domain: timeline.distributed_revision(tx, domain)
                for domain in {opa.domain for opa in found}
            }
        shown = found[:limit]
        last = f"{shown[-1].domain}/{shown[-1].status.id}" if len(found) > limit else ""
        return opas_pb2.ListOpasResponse(
            opas=[_to_proto(opa, targets[opa.domain]) for opa in shown], next_page_token=last
        )

    def GetBundleKey(
        self, request: opas_pb2.GetBundleKeyRequest, context: object
    ) -> opas_pb2.GetBundleKeyResponse:
        """The public key."""
        if self._key is None:
            raise OpaNotServed("this control plane serves no OPA; set `opa.listen` in its settings")
        return opas_pb2.GetBundleKeyResponse(
            id=self._key.id, algorithm=ALGORITHM, public_key=self._key.public_pem
        )


def _to_proto(opa: KnownOpa, target: int) -> opas_pb2.Opa:
    bundle = opa.status.bundle
    return opas_pb2.Opa(
        domain=opa.domain,
        id=opa.status.id,
        reporter=opa.reporter,
        version=opa.status.version,
        active_revision=0 if bundle is None else bundle.number,
        target_revision=target,
        policy_digest="" if bundle is None else bundle.policy_digest,
        problem=opa.status.problem,
        contact_time=to_timestamp(opa.heard),
    )
