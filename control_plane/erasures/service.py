"""ErasureService: what evidence says of a person becomes unreadable; the logs still verify."""

from collections.abc import Callable
from datetime import datetime

from control_plane.agents import store as agents
from control_plane.agreements import store as agreements
from control_plane.audit import reads_store as reads
from control_plane.audit import store as audit
from control_plane.calls import current_caller
from control_plane.contracts import store as contracts
from control_plane.database import Database, Transaction
from control_plane.erasures import rules
from control_plane.policies import rehearsal_store as rehearsals
from control_plane.policies import store as policies
from control_plane.purposes import store as purposes
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from control_plane.vault import store as vault
from control_plane.vault.rules import ERASED, Erasure
from mesh.v1 import erasures_pb2, erasures_pb2_grpc
from mesh.wire.times import to_timestamp


class ErasureService(erasures_pb2_grpc.ErasureServiceServicer):
    def __init__(
        self, database: Database, clock: Callable[[], datetime], new_id: Callable[[], str]
    ) -> None:
        self._database, self._clock, self._new_id = database, clock, new_id

    def ErasePrincipal(
        self, request: erasures_pb2.ErasePrincipalRequest, context: object
    ) -> erasures_pb2.ErasePrincipalResponse:
        """Destroy the keys here at once, and ask every agent to destroy its own."""
        principal, reason = request.principal, request.reason
        rules.check_request(principal, reason)
        with self._database.writing() as tx:
            now = self._clock()
            rules.check_closed(principal, agreements.count_open(tx, principal, now))
            waiting = tuple(agents.names(tx))
            erasure = Erasure(
                id=self._new_id(),
                reason=reason,
                requested=now,
                completed=None if waiting else now,
                keys=vault.destroy_keys(tx, principal),
                waiting=waiting,
            )
            _forget(tx, principal)
            # Agents get a snapshot without the name with it, and confirm only when they have it.
            revision = timeline.record_change(tx, _requested(erasure))
            vault.add_erasure(tx, erasure, principal, revision)
        self._database.scrub_soon()
        return erasures_pb2.ErasePrincipalResponse(erasure=_to_proto(erasure), revision=revision)

    def ListErasures(
        self, request: erasures_pb2.ListErasuresRequest, context: object
    ) -> erasures_pb2.ListErasuresResponse:
        """Every erasure, newest first."""
        with self._database.reading() as tx:
            found = vault.erasures(tx)
        return erasures_pb2.ListErasuresResponse(erasures=[_to_proto(one) for one in found])


def _forget(tx: Transaction, principal: str) -> None:
    """Take the name out of every table that is searched by it or shows it."""
    audit.blank_actor(tx, principal, ERASED)
    reads.blank_actor(tx, principal, ERASED)
    timeline.erase_principal(tx, principal, ERASED)
    agreements.erase_principal(tx, principal)
    contracts.erase_publisher(tx, principal, ERASED)
    purposes.erase_creator(tx, principal, ERASED)
    policies.erase_principal(tx, principal, ERASED)
    rehearsals.erase_principal(tx, principal, ERASED)


def _requested(erasure: Erasure) -> Change:
    agents_ = len(erasure.waiting)
    return Change(
        action="erasure.requested",
        actor=current_caller().principal.reference,
        time=erasure.requested,
        reference=erasure.id,
        summary=f"{erasure.reason}; waits for {agents_} agents to destroy their keys",
        distributed=True,
    )


def _to_proto(erasure: Erasure) -> erasures_pb2.Erasure:
    return erasures_pb2.Erasure(
        id=erasure.id,
        reason=erasure.reason,
        request_time=to_timestamp(erasure.requested),
        complete_time=to_timestamp(erasure.completed) if erasure.completed else None,
        waiting=[f"{domain}/{agent}" for domain, agent in erasure.waiting],
        keys=erasure.keys,
    )
