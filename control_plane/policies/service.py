"""PolicyService: the Rego modules that decide reads, and their history."""

from datetime import datetime

from control_plane.database import Database
from control_plane.policies import rules, store
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from mesh.decisions.policy import Policy
from mesh.errors import PolicyNotFound
from mesh.v1 import policies_pb2, policies_pb2_grpc
from mesh.wire.times import to_timestamp

SERVICE_ACTOR = "service:meshwarden"


class PolicyService(policies_pb2_grpc.PolicyServiceServicer):
    def __init__(self, database: Database) -> None:
        self._database = database

    def activate_shipped(self, policy: Policy, now: datetime) -> None:
        """Make the installed library the active policy, if it is not."""
        with self._database.writing() as tx:
            active = store.active(tx)
            if active is not None and active.policy.digest == policy.digest:
                return
            store.add_modules(tx, policy)
            revision = timeline.record_change(
                tx,
                Change(
                    action="policy.activated",
                    actor=SERVICE_ACTOR,
                    time=now,
                    reference=policy.digest,
                    summary=f"library of {len(policy.modules)} modules, {policy.digest[:12]}",
                    distributed=True,
                ),
            )
            store.activate(tx, policy.digest, revision, now)

    def GetPolicy(
        self, request: policies_pb2.GetPolicyRequest, context: object
    ) -> policies_pb2.GetPolicyResponse:
        """A policy's digest and modules, without their texts."""
        with self._database.reading() as tx:
            active = store.active(tx)
            found = store.find(tx, request.digest) if request.digest else active
        if found is None:
            raise _not_found(request.digest)
        return policies_pb2.GetPolicyResponse(
            policy=policies_pb2.Policy(
                digest=found.policy.digest,
                revision=found.revision,
                activate_time=to_timestamp(found.activated),
                active=active is not None and active.policy.digest == found.policy.digest,
                modules=[
                    _module(path, text) for path, text in sorted(found.policy.modules.items())
                ],
            )
        )

    def GetPolicyModule(
        self, request: policies_pb2.GetPolicyModuleRequest, context: object
    ) -> policies_pb2.GetPolicyModuleResponse:
        """One module with its text."""
        with self._database.reading() as tx:
            found = store.find(tx, request.digest)
        text = None if found is None else found.policy.modules.get(request.path)
        if text is None:
            raise _not_found(request.digest, request.path)
        module = _module(request.path, text)
        module.text = text
        return policies_pb2.GetPolicyModuleResponse(module=module)


def _module(path: str, text: str) -> policies_pb2.PolicyModule:
    summary = rules.summary(path, text)
    return policies_pb2.PolicyModule(path=path, size=summary.size, digest=summary.digest)


def _not_found(digest: str, path: str = "") -> PolicyNotFound:
    what = f"module {path!r} in policy {digest!r}" if path else f"policy {digest!r}"
    return PolicyNotFound(f"there is no {what}; `mesh policy show` lists what is", digest=digest)
