"""PolicyService: what is pushed for each layer, what of it is in force, and where."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from control_plane.calls import current_caller
from control_plane.database import Database, Transaction
from control_plane.policies import (
    activating,
    pushing,
    rehearsal_store,
    rehearsing,
    rules,
    store,
)
from control_plane.policies.activating import Wish
from control_plane.policies.checks import LayerChecks
from control_plane.policies.fleet import Fleet
from control_plane.policies.rehearsals import Rehearsal
from control_plane.policies.rules import (
    LIBRARY,
    LayerState,
    Origin,
    PolicyGates,
    PolicyRevision,
)
from control_plane.policies.showing import PolicyShowing, no_revision
from control_plane.policies.supposing import Agreements, Supposed, Supposing
from control_plane.policies.wire import activation_to_proto, revision_to_proto
from mesh.decisions.policy import Policy
from mesh.errors import PolicyNotFound
from mesh.v1 import policies_pb2
from mesh.wire.principals import principal_from_proto

SERVICE_ACTOR = "service:meshwarden"
_MOST_PUSHES = 2


@dataclass(frozen=True, slots=True)
class PolicyParts:
    """What the service works with."""

    database: Database
    checks: LayerChecks
    fleet: Fleet
    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    gates: PolicyGates
    agreements: Agreements


class PolicyService(PolicyShowing):
    def __init__(self, parts: PolicyParts) -> None:
        super().__init__(parts.database, parts.fleet)
        self._parts = parts
        self._supposing = Supposing(parts.database, parts.agreements)
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
        if not report.failed and not header.dry_run:
            with self._database.writing() as tx:
                state = store.state(tx, header.layer)
                pushed = activating.push(tx, replace(pushed, based_on=state.active), layer)
        return policies_pb2.PushPolicyResponse(
            revision=revision_to_proto(pushed, state, was_active=False),
            problems=report.problems,
        )

    def ActivatePolicy(
        self, request: policies_pb2.ActivatePolicyRequest, context: object
    ) -> policies_pb2.ActivatePolicyResponse:
        """Put a revision in force, for some agents or for all; nothing of it is half done."""
        principal, now = current_caller().principal, self._parts.clock()
        with self._database.reading() as tx:
            chosen = store.find(tx, request.revision)
            known = frozenset(agent.name for agent in self._parts.fleet(tx))
        if chosen is None or chosen.layer == LIBRARY:
            raise no_revision(request.revision)
        rules.check_decider(principal, chosen.layer)
        rules.check_second_person(principal, chosen)
        rules.check_checked(chosen, unchecked=self._parts.gates.unchecked)
        rules.check_agents(request.agents, chosen.layer, known)
        kind = activating.STAGED if request.agents else activating.ACTIVATED
        accepted = tuple(sorted(set(request.accepted)))
        wish = Wish(chosen, kind, principal.reference, tuple(request.agents), accepted)
        self._put_together(chosen)
        with self._database.writing() as tx:
            state = store.state(tx, chosen.layer)
            rules.check_current(state, request.expected)
            if self._parts.gates.rehearsed:
                rehearsing.check_gate(tx, chosen, self._parts.fleet(tx), accepted)
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

    def DecideFor(
        self, request: policies_pb2.DecideForRequest, context: object
    ) -> policies_pb2.DecideForResponse:
        """What somebody else would get, and why; it leaves no receipt, as nothing is read."""
        rules.check_supposer(current_caller().principal, request.domain)
        timed = request.HasField("time")
        wanted = Supposed(
            principal=principal_from_proto(request.principal),
            domain=request.domain,
            product=request.product,
            dataset=request.dataset,
            purpose=request.purpose,
            time=request.time.ToDatetime(UTC) if timed else self._parts.clock(),
        )
        with self._database.reading() as tx:
            candidate = store.find(tx, request.revision) if request.revision else None
        if request.revision and candidate is None:
            raise no_revision(request.revision)
        return self._supposing.outcomes(wanted, candidate)

    def _put_together(self, candidate: PolicyRevision) -> None:
        """Assemble, and so remember, what the revision would make, before writers wait for it."""
        with self._database.reading() as tx:
            rehearsing.reached(tx, candidate, self._parts.fleet(tx))

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

    def StartRehearsal(
        self, request: policies_pb2.StartRehearsalRequest, context: object
    ) -> policies_pb2.StartRehearsalResponse:
        """Ask the connected agents that the revision would reach to rehearse it.

        While agents still work on it, that rehearsal is the answer.
        """
        principal = current_caller().principal
        with self._database.reading() as tx:
            chosen = store.find(tx, request.revision)
        if chosen is None or chosen.layer == LIBRARY:
            raise no_revision(request.revision)
        rules.check_author(principal, chosen.layer)
        self._put_together(chosen)
        with self._database.writing() as tx:
            running = rehearsal_store.newest(tx, chosen.revision)
            if running is not None and running.is_under_way(self._parts.clock()):
                return policies_pb2.StartRehearsalResponse(rehearsal=rehearsing.to_proto(running))
            wanted = Rehearsal(
                id=self._parts.new_id(),
                revision=chosen.revision,
                starter=principal.reference,
                started=self._parts.clock(),
            )
            begun = rehearsing.begin(tx, chosen, self._parts.fleet(tx), wanted)
        return policies_pb2.StartRehearsalResponse(rehearsal=rehearsing.to_proto(begun))

    def GetRehearsal(
        self, request: policies_pb2.GetRehearsalRequest, context: object
    ) -> policies_pb2.GetRehearsalResponse:
        """The newest rehearsal of a revision, with what was found by now."""
        principal = current_caller().principal
        with self._database.reading() as tx:
            chosen = store.find(tx, request.revision)
            found = rehearsal_store.newest(tx, request.revision)
        if chosen is None or found is None:
            raise PolicyNotFound(
                f"revision {request.revision} was not rehearsed;"
                f" `mesh policy rehearse {request.revision}` does it"
            )
        rules.check_author(principal, chosen.layer)
        return policies_pb2.GetRehearsalResponse(rehearsal=rehearsing.to_proto(found))
