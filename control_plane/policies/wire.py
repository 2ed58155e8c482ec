"""Policies on the wire."""

from control_plane.policies import rules
from control_plane.policies.rules import Activation, LayerState, PolicyRevision
from mesh.v1 import policies_pb2
from mesh.wire.times import to_timestamp


def revision_to_proto(
    revision: PolicyRevision, state: LayerState, *, was_active: bool
) -> policies_pb2.PolicyRevision:
    """What was pushed, and how it stands."""
    return policies_pb2.PolicyRevision(
        revision=revision.revision,
        layer=revision.layer,
        digest=revision.digest,
        author=revision.author,
        push_time=to_timestamp(revision.time),
        commit=revision.origin.commit,
        dirty=revision.origin.dirty,
        message=revision.origin.message,
        based_on=revision.based_on,
        checks=[
            policies_pb2.PolicyCheck(name=name, outcome=outcome)
            for name, outcome in revision.checks.items()
        ],
        state=_standing(revision, state, was_active=was_active),
    )


def _standing(revision: PolicyRevision, state: LayerState, *, was_active: bool) -> str:
    if revision.revision and revision.revision == state.active:
        return "active"
    if revision.revision and revision.revision == state.staged:
        return "staged"
    return "retired" if was_active else "draft"


def activation_to_proto(activation: Activation) -> policies_pb2.PolicyActivation:
    """A change of what is in force."""
    return policies_pb2.PolicyActivation(
        revision=activation.revision,
        layer=activation.layer,
        chosen=activation.chosen,
        kind=activation.kind,
        actor=activation.actor,
        time=to_timestamp(activation.time),
        agents=activation.agents,
        accepted=activation.accepted,
    )


def module_to_proto(path: str, text: str) -> policies_pb2.PolicyModule:
    """A module without its text."""
    summary = rules.summary(path, text)
    return policies_pb2.PolicyModule(path=path, size=summary.size, digest=summary.digest)
