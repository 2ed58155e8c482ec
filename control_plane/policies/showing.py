"""What of the policies everybody who may can see: revisions, history, the fleet, modules."""

import asyncio
from collections.abc import AsyncIterator

from control_plane.database import Database, Transaction
from control_plane.policies import store
from control_plane.policies.fleet import Fleet, agents_to_proto
from control_plane.policies.rules import PolicyRevision
from control_plane.policies.wire import activation_to_proto, module_to_proto, revision_to_proto
from control_plane.timeline.rules import page_limit
from mesh.decisions.policy import Policy
from mesh.errors import PolicyNotFound, RequestInvalid
from mesh.v1 import policies_pb2, policies_pb2_grpc
from mesh.wire.times import to_timestamp


class PolicyShowing(policies_pb2_grpc.PolicyServiceServicer):
    """The part of PolicyService that changes nothing."""

    def __init__(self, database: Database, fleet: Fleet) -> None:
        self._database, self._fleet = database, fleet

    def ListPolicyRevisions(
        self, request: policies_pb2.ListPolicyRevisionsRequest, context: object
    ) -> policies_pb2.ListPolicyRevisionsResponse:
        """One page of what was pushed, newest first."""
        limit = page_limit(request.page_size)
        before = _number(request.page_token)
        with self._database.reading() as tx:
            found = store.page(tx, request.layer, before, limit + 1)
            messages = [self._to_proto(tx, one) for one in found[:limit]]
        return policies_pb2.ListPolicyRevisionsResponse(
            revisions=messages,
            next_page_token=str(found[limit - 1].revision) if len(found) > limit else "",
        )

    async def ReadPolicyRevision(
        self, request: policies_pb2.ReadPolicyRevisionRequest, context: object
    ) -> AsyncIterator[policies_pb2.ReadPolicyRevisionResponse]:
        """A revision, then its modules with their texts."""
        revision, layer = await asyncio.to_thread(self._read, request)
        yield policies_pb2.ReadPolicyRevisionResponse(revision=revision)
        for path, text in sorted(layer.modules.items()):
            module = module_to_proto(path, text)
            module.text = text
            yield policies_pb2.ReadPolicyRevisionResponse(module=module)

    def _read(
        self, request: policies_pb2.ReadPolicyRevisionRequest
    ) -> tuple[policies_pb2.PolicyRevision, Policy]:
        with self._database.reading() as tx:
            wanted = request.revision or store.state(tx, request.layer).active
            found, layer = store.find(tx, wanted), store.modules(tx, wanted)
            if found is None or layer is None:
                raise no_revision(wanted, request.layer)
            return self._to_proto(tx, found), layer

    def ListPolicyActivations(
        self, request: policies_pb2.ListPolicyActivationsRequest, context: object
    ) -> policies_pb2.ListPolicyActivationsResponse:
        """What was put in force, newest first."""
        with self._database.reading() as tx:
            found = store.history(tx, request.layer, page_limit(request.limit))
        return policies_pb2.ListPolicyActivationsResponse(
            activations=[activation_to_proto(one) for one in found]
        )

    def GetPolicyStatus(
        self, request: policies_pb2.GetPolicyStatusRequest, context: object
    ) -> policies_pb2.GetPolicyStatusResponse:
        """What is in force of each layer, and how each agent is with it."""
        with self._database.reading() as tx:
            layers = [
                policies_pb2.PolicyLayer(
                    layer=one.layer,
                    active=one.active,
                    staged=one.staged,
                    agents=sorted(one.agents),
                )
                for _, one in sorted(store.states(tx).items())
            ]
            agents = agents_to_proto(tx, self._fleet, request.revision)
        return policies_pb2.GetPolicyStatusResponse(layers=layers, agents=agents)

    def GetPolicy(
        self, request: policies_pb2.GetPolicyRequest, context: object
    ) -> policies_pb2.GetPolicyResponse:
        """The digest and modules of a policy that agents decide with, without their texts."""
        with self._database.reading() as tx:
            in_force = store.in_force(tx, request.domain)
            digest = request.digest or (in_force.digest if in_force else "")
            found = store.find_assembly(tx, digest)
        if found is None:
            raise _not_found(request.digest)
        return policies_pb2.GetPolicyResponse(
            policy=policies_pb2.Policy(
                digest=found.policy.digest,
                revision=found.revision,
                activate_time=to_timestamp(found.activated),
                active=in_force is not None and in_force.digest == found.policy.digest,
                modules=[
                    module_to_proto(path, text)
                    for path, text in sorted(found.policy.modules.items())
                ],
            )
        )

    def GetPolicyModule(
        self, request: policies_pb2.GetPolicyModuleRequest, context: object
    ) -> policies_pb2.GetPolicyModuleResponse:
        """One module with its text."""
        with self._database.reading() as tx:
            found = store.find_assembly(tx, request.digest)
        text = None if found is None else found.policy.modules.get(request.path)
        if text is None:
            raise _not_found(request.digest, request.path)
        module = module_to_proto(request.path, text)
        module.text = text
        return policies_pb2.GetPolicyModuleResponse(module=module)

    def _to_proto(self, tx: Transaction, revision: PolicyRevision) -> policies_pb2.PolicyRevision:
        return revision_to_proto(
            revision,
            store.state(tx, revision.layer),
            was_active=store.was_active(tx, revision.revision),
        )


def _number(token: str) -> int | None:
    if token and not (token.isascii() and token.isdecimal() and len(token) < 19):
        raise RequestInvalid("page_token is not one that an answer gave", field="page_token")
    return int(token) if token else None


def no_revision(revision: int, layer: str = "") -> PolicyNotFound:
    """That there is no such revision."""
    what = f"revision {revision}" if revision or not layer else f"revision of {layer} in force"
    return PolicyNotFound(f"there is no {what}; `mesh policy list` shows what was pushed")


def _not_found(digest: str, path: str = "") -> PolicyNotFound:
    what = f"module {path!r} in policy {digest!r}" if path else f"policy {digest!r}"
    return PolicyNotFound(f"there is no {what}; `mesh policy show` lists what is", digest=digest)
