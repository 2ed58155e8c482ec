"""PolicyService: what is pushed for each layer, what of it is in force, and where."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import datetime

from control_plane.calls import current_caller
from control_plane.database import Database, Transaction
from control_plane.policies import activating, pushing, rules, store
from control_plane.policies.activating import Wish
from control_plane.policies.checks import LayerChecks
from control_plane.policies.fleet import Fleet, agents_to_proto
from control_plane.policies.rules import LIBRARY, LayerState, Origin, PolicyRevision
from control_plane.policies.wire import activation_to_proto, module_to_proto, revision_to_proto
from control_plane.timeline.rules import page_limit
from mesh.decisions.policy import Policy
from mesh.errors import PolicyNotFound, RequestInvalid
from mesh.v1 import policies_pb2, policies_pb2_grpc
from mesh.wire.times import to_timestamp

SERVICE_ACTOR = "service:meshwarden"
_MOST_PUSHES = 2


@dataclass(frozen=True, slots=True)
class PolicyParts:
    """What the service works with; `unchecked` tells that activation may go on without OPA."""

    database: Database
    checks: LayerChecks
    fleet: Fleet
    clock: Callable[[], datetime]
    unchecked: bool = False


class PolicyService(policies_pb2_grpc.PolicyServiceServicer):
    def __init__(self, parts: PolicyParts) -> None:
        self._parts, self._database = parts, parts.database
        self._pushes = asyncio.Semaphore(_MOST_PUSHES)

    def activate_shipped(self, library: Policy) -> None:
        """Put the installed library in force, if it is not."""
        now = self._parts.clock()
        with self._database.writing() as tx:
            state = store.state(tx, LIBRARY)
            active = store.find(tx, state.active) if state.active else None
            if active is not None and active.digest == library.digest:
                return
            pushed = PolicyRevision(
                revision=0,
                layer=LIBRARY,
                digest=library.digest,
                author=SERVICE_ACTOR,
                time=now,
                origin=Origin(),
                based_on=state.active,
                checks={},
            )
            kept = activating.push(tx, pushed, library)
            wish = Wish(kept, activating.ACTIVATED, SERVICE_ACTOR)
            activating.put_in_force(tx, state, wish, now)

    async def PushPolicy(
        self,
        request_iterator: AsyncIterator[policies_pb2.PushPolicyRequest],
        context: object,
    ) -> policies_pb2.PushPolicyResponse:
        """Check a layer's modules and keep them as a revision, unless a check fails."""
        principal = current_caller().principal
        header, layer = await pushing.collect(request_iterator)
        rules.check_author(principal, header.layer)
        async with self._pushes:
            return await asyncio.to_thread(self._push, principal.reference, header, layer)

    def _push(
        self, author: str, header: policies_pb2.PushPolicyHeader, layer: Policy
    ) -> policies_pb2.PushPolicyResponse:
        report = self._parts.checks.report(header.layer, layer)
        with self._database.reading() as tx:
            state = store.state(tx, header.layer)
        pushed = PolicyRevision(
            revision=0,
            layer=header.layer,
            digest=layer.digest,
            author=author,
            time=self._parts.clock(),
            origin=Origin(header.commit, header.dirty, header.message),
            based_on=state.active,
            checks=report.outcomes,
        )
        if report.passed and not header.dry_run:
            with self._database.writing() as tx:
                state = store.state(tx, header.layer)
                pushed = activating.push(tx, replace(pushed, based_on=state.active), layer)
        return policies_pb2.PushPolicyResponse(
            revision=revision_to_proto(pushed, state, was_active=False),
            problems=report.problems,
        )

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
                raise _no_revision(wanted, request.layer)
            return self._to_proto(tx, found), layer

    def ActivatePolicy(
        self, request: policies_pb2.ActivatePolicyRequest, context: object
    ) -> policies_pb2.ActivatePolicyResponse:
        """Put a revision in force, for some agents or for all; nothing of it is half done."""
        principal, now = current_caller().principal, self._parts.clock()
        with self._database.reading() as tx:
            chosen = store.find(tx, request.revision)
            known = frozenset(agent.name for agent in self._parts.fleet(tx))
        if chosen is None or chosen.layer == LIBRARY:
            raise _no_revision(request.revision)
        rules.check_decider(principal, chosen.layer)
        rules.check_second_person(principal, chosen)
        rules.check_checked(chosen, unchecked=self._parts.unchecked)
        rules.check_agents(request.agents, chosen.layer, known)
        kind = activating.STAGED if request.agents else activating.ACTIVATED
        wish = Wish(chosen, kind, principal.reference, tuple(request.agents))
        with self._database.writing() as tx:
            state = store.state(tx, chosen.layer)
            rules.check_current(state, request.expected)
            made = activating.put_in_force(tx, state, wish, now)
        return policies_pb2.ActivatePolicyResponse(activation=activation_to_proto(made))

    def RollBackPolicy(
        self, request: policies_pb2.RollBackPolicyRequest, context: object
    ) -> policies_pb2.RollBackPolicyResponse:
        """Put what was in force before in force again; one person is enough."""
        principal, now = current_caller().principal, self._parts.clock()
        rules.check_layer(request.layer)
        rules.check_decider(principal, request.layer)
        with self._database.writing() as tx:
            state = store.state(tx, request.layer)
            chosen = self._earlier(tx, state, request)
            wish = Wish(chosen, activating.ROLLED_BACK, principal.reference)
            made = activating.put_in_force(tx, state, wish, now)
        return policies_pb2.RollBackPolicyResponse(activation=activation_to_proto(made))

    def _earlier(
        self, tx: Transaction, state: LayerState, request: policies_pb2.RollBackPolicyRequest
    ) -> PolicyRevision | None:
        """What to go back to: only what was in force for all once, or nothing."""
        history = store.history(tx, state.layer, 500)
        wanted = 0 if request.none else request.revision or rules.previous(history, state)
        if wanted == 0:
            return None
        chosen = store.find(tx, wanted)
        if chosen is None or wanted not in {past.chosen for past in history if not past.agents}:
            raise PolicyNotFound(
                f"revision {wanted} was never in force for all of {state.layer}; `mesh policy log`"
                " shows what was"
            )
        return chosen

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
            agents = agents_to_proto(tx, self._parts.fleet, request.revision)
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


def _no_revision(revision: int, layer: str = "") -> PolicyNotFound:
    what = f"revision {revision}" if revision or not layer else f"revision of {layer} in force"
    return PolicyNotFound(f"there is no {what}; `mesh policy list` shows what was pushed")


def _not_found(digest: str, path: str = "") -> PolicyNotFound:
    what = f"module {path!r} in policy {digest!r}" if path else f"policy {digest!r}"
    return PolicyNotFound(f"there is no {what}; `mesh policy show` lists what is", digest=digest)
