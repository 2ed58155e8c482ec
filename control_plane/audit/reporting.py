"""What agents report of their logs besides the events: checkpoints, keys, finished erasures."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from control_plane.audit import claims, reads_store, store
from control_plane.audit.witnessing import witness
from control_plane.calls import current_caller
from control_plane.database import Database, Transaction
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change
from control_plane.vault import store as vault_store
from control_plane.vault.rules import PendingErasure
from control_plane.vault.vault import Vault
from mesh.errors import RequestTooLarge
from mesh.evidence.wrapping import MAX_WRAPPED
from mesh.v1 import audit_pb2

# The key that an enrolled agent, by domain and id, signs with.
PublicKeys = Callable[[Transaction, str, str], bytes]
MAX_KEYS = 500
MAX_ERASED = 1_000
_CHUNK = 500


class EvidenceReports:
    """Answers ReportEvidence: each agent speaks for its own log."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        public_key: PublicKeys,
        clock: Callable[[], datetime],
    ) -> None:
        self._database, self._vault, self._clock = database, vault, clock
        self._public_key = public_key

    def report(self, request: audit_pb2.ReportEvidenceRequest) -> audit_pb2.ReportEvidenceResponse:
        """Take a checkpoint, keys and confirmations; what is kept, and what is to be destroyed.

        Raises RequestTooLarge, and EvidenceInvalid for a checkpoint that is not the agent's own.
        """
        if (
            len(request.keys) > MAX_KEYS
            or len(request.erased) > MAX_ERASED
            or any(len(key.wrapped) > MAX_WRAPPED for key in request.keys)
        ):
            raise RequestTooLarge(
                f"a report has at most {MAX_KEYS} keys of {MAX_WRAPPED} bytes and {MAX_ERASED}"
                " erasures; send it in parts"
            )
        domain, _, agent = current_caller().principal.subject.partition("/")
        if not (request.checkpoint or request.keys or request.erased):
            with self._database.reading() as tx:
                return _answer(vault_store.pending(tx, domain, agent))
        wrapped = {key.id: key.wrapped for key in request.keys}
        with self._database.writing() as tx:
            now = self._clock()
            if request.checkpoint:
                public = self._public_key(tx, domain, agent)
                witness(tx, domain, agent, request.checkpoint, public, now)
            self._confirm(tx, domain, agent, list(request.erased), now)
            kept = self._vault.keep(tx, domain, agent, wrapped, now)
            self._attribute(tx, domain, agent, kept)
            pending = vault_store.pending(tx, domain, agent)
        if request.erased:
            self._database.scrub_soon()
        return _answer(pending, kept)

    def _confirm(
        self, tx: Transaction, domain: str, agent: str, erased: list[str], now: datetime
    ) -> None:
        """Note what the agent destroyed; where it was the last one, the name goes here too."""
        for erasure in vault_store.confirm(tx, domain, agent, erased, now):
            timeline.record_change(
                tx,
                Change(
                    action="erasure.completed",
                    actor=f"agent:{domain}/{agent}",
                    time=now,
                    reference=erasure,
                    summary="every agent has destroyed its keys",
                ),
            )

    def _attribute(self, tx: Transaction, domain: str, agent: str, keys: Mapping[str, str]) -> None:
        """Name who made the reads whose events came before their key."""
        if not keys:
            return
        while receipts := store.unattributed(tx, domain, agent, sorted(keys), _CHUNK):
            ids = [receipt.id for receipt in receipts]
            events = store.first_events(tx, domain, agent, ids)
            opened = self._vault.open(tx, domain, agent, events)
            # What does not open or names nobody is not tried again with every report.
            actors = {id_: claims.actor_of(opened.get(id_, {})) or "unknown" for id_ in ids}
            store.set_actors(tx, domain, agent, actors)
            reads_store.set_actors(tx, domain, agent, actors)
            timeline.set_actors(tx, domain, agent, actors)


def _answer(
    pending: Sequence[PendingErasure], kept: Iterable[str] = ()
) -> audit_pb2.ReportEvidenceResponse:
    return audit_pb2.ReportEvidenceResponse(
        kept=sorted(kept),
        erasures=[
            audit_pb2.PendingErasure(id=one.id, principal=one.principal, revision=one.revision)
            for one in pending
        ],
    )
