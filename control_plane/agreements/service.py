"""AgreementService: ask, decide, end, and see who may read what."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

from control_plane.agreements import rules, store, wishes
from control_plane.calls import current_caller
from control_plane.contracts import store as contracts
from control_plane.database import Database, Transaction
from control_plane.purposes import store as purposes
from control_plane.timeline import store as timeline
from control_plane.timeline.rules import Change, page_limit
from mesh.agreements.values import Agreement, AgreementState
from mesh.errors import ContractNotFound, RequestInvalid
from mesh.identity.duties import ADMIN, AUDITOR, SECURITY, domains_of, has_any
from mesh.identity.principal import Principal
from mesh.v1 import agreements_pb2, agreements_pb2_grpc
from mesh.wire.agreements import agreement_to_proto, state_from_proto
from mesh.wire.times import from_timestamp, to_timestamp

Enforced = Callable[[Transaction, str, int], datetime | None]
Enforcements = Callable[[Transaction, Agreement, datetime], Sequence[rules.Enforcement]]
Step = Callable[[Agreement, Principal, tuple[str, ...]], Agreement]
EXPIRY_ACTOR = "service:meshwarden"
_MAX_REQUEST_ID = 128


class AgreementService(agreements_pb2_grpc.AgreementServiceServicer):
    """`enforced` tells when the first agent of a domain acknowledged a revision or a later one,
    `enforcements` which agents enforce an agreement's latest change.
    """

    def __init__(
        self,
        database: Database,
        enforced: Enforced,
        enforcements: Enforcements,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self._database = database
        self._enforced = enforced
        self._enforcements = enforcements
        self._clock = clock
        self._new_id = new_id

    def RequestAgreement(
        self, request: agreements_pb2.RequestAgreementRequest, context: object
    ) -> agreements_pb2.RequestAgreementResponse:
        """Store a request; the same request_id of the same requester makes one agreement."""
        requester, now = current_caller().principal, self._clock()
        if len(request.request_id) > _MAX_REQUEST_ID:
            raise RequestInvalid(
                f"request_id has at most {_MAX_REQUEST_ID} characters", field="request_id"
            )
        with self._database.writing() as tx:
            agreement = (
                store.find_request(tx, requester.reference, request.request_id)
                if request.request_id
                else None
            )
            if agreement is None:
                agreement = self._request(tx, request, requester, now)
            elif (agreement.domain, agreement.product, agreement.role, agreement.purpose) != (
                request.domain,
                request.product,
                request.role,
                request.purpose,
            ):
                raise RequestInvalid(
                    f"request_id {request.request_id} stands for agreement {agreement.id}, which"
                    " asks for something else; a new request takes a new id",
                    field="request_id",
                )
            message = self._to_proto(tx, agreement, now)
        return agreements_pb2.RequestAgreementResponse(agreement=message)

    def GetAgreement(
        self, request: agreements_pb2.GetAgreementRequest, context: object
    ) -> agreements_pb2.GetAgreementResponse:
        """One agreement, for those who may see it."""
        now = self._clock()
        with self._database.reading() as tx:
            agreement, _ = _visible(tx, request.id)
            message = self._to_proto(tx, agreement, now)
            is_known = agreement.state in _ENFORCEABLE
            found = self._enforcements(tx, agreement, now) if is_known else ()
        return agreements_pb2.GetAgreementResponse(
            agreement=message, enforcements=map(_enforcement_to_proto, found)
        )

    def ListAgreements(
        self, request: agreements_pb2.ListAgreementsRequest, context: object
    ) -> agreements_pb2.ListAgreementsResponse:
        """One page of what the caller may see, newest first."""
        limit, now = page_limit(request.page_size), self._clock()
        wanted = store.Wanted(
            domain=request.domain,
            product=request.product,
            consumer=request.consumer,
            state=state_from_proto(request.state),
        )
        with self._database.reading() as tx:
            view = _view(tx, current_caller().principal)
            found = store.page(tx, view, wanted, now, request.page_token, limit + 1)
            messages = [self._to_proto(tx, agreement, now) for agreement in found[:limit]]
        return agreements_pb2.ListAgreementsResponse(
            agreements=messages,
            next_page_token=found[limit - 1].id if len(found) > limit else "",
        )

    def ApproveAgreement(
        self, request: agreements_pb2.ApproveAgreementRequest, context: object
    ) -> agreements_pb2.ApproveAgreementResponse:
        """Make a requested agreement active."""
        now = self._clock()

        def step(agreement: Agreement, by: Principal, owners: tuple[str, ...]) -> Agreement:
            return rules.approve(agreement, by, owners, request.note, now)

        message = self._take(request.id, "approved", step, now)
        return agreements_pb2.ApproveAgreementResponse(agreement=message)

    def RejectAgreement(
        self, request: agreements_pb2.RejectAgreementRequest, context: object
    ) -> agreements_pb2.RejectAgreementResponse:
        """Refuse a requested agreement."""
        now = self._clock()

        def step(agreement: Agreement, by: Principal, owners: tuple[str, ...]) -> Agreement:
            return rules.reject(agreement, by, owners, request.note, now)

        message = self._take(request.id, "rejected", step, now)
        return agreements_pb2.RejectAgreementResponse(agreement=message)

    def CancelAgreement(
        self, request: agreements_pb2.CancelAgreementRequest, context: object
    ) -> agreements_pb2.CancelAgreementResponse:
        """Take a request back."""
        now = self._clock()

        def step(agreement: Agreement, by: Principal, owners: tuple[str, ...]) -> Agreement:
            return rules.cancel(agreement, by, now)

        message = self._take(request.id, "cancelled", step, now)
        return agreements_pb2.CancelAgreementResponse(agreement=message)

    def RevokeAgreement(
        self, request: agreements_pb2.RevokeAgreementRequest, context: object
    ) -> agreements_pb2.RevokeAgreementResponse:
        """End an active agreement."""
        now = self._clock()

        def step(agreement: Agreement, by: Principal, owners: tuple[str, ...]) -> Agreement:
            return rules.revoke(agreement, by, owners, request.note, now)

        message = self._take(request.id, "revoked", step, now)
        return agreements_pb2.RevokeAgreementResponse(agreement=message)

    def expire_due(self) -> int:
        """Record every agreement that came to its end; how many there were."""
        now = self._clock()
        with self._database.reading() as tx:
            if not store.due(tx, now):
                return 0
        with self._database.writing() as tx:
            due = store.due(tx, now)
            for agreement in due:
                expired = rules.expire(agreement)
                _save(tx, expired, _change(expired, "expired", EXPIRY_ACTOR, now))
        return len(due)

    def _request(
        self,
        tx: Transaction,
        request: agreements_pb2.RequestAgreementRequest,
        requester: Principal,
        now: datetime,
    ) -> Agreement:
        published = contracts.find(tx, request.domain, request.product, "")
        if published is None:
            name = f"{request.domain}.{request.product}"
            raise ContractNotFound(
                f"there is no product {name}; `mesh product list` shows what is published",
                product=name,
            )
        wish = wishes.Wish(
            role=request.role,
            purpose=request.purpose,
            datasets=tuple(request.datasets),
            justification=request.justification,
            consumer=request.consumer,
            expires=(
                from_timestamp(request.expire_time, "expire_time")
                if request.HasField("expire_time")
                else None
            ),
        )
        agreement = wishes.request(
            wish, published.contract, purposes.ids(tx), requester, self._new_id(), now
        )
        change = _change(agreement, "requested", requester.reference, now)
        agreement = replace(agreement, revision=timeline.record_change(tx, change))
        store.add(tx, agreement, request.request_id)
        return agreement

    def _take(
        self, agreement_id: str, action: str, step: Step, now: datetime
    ) -> agreements_pb2.Agreement:
        """Take one step of an agreement's life, and tell it in the same transaction."""
        principal = current_caller().principal
        with self._database.writing() as tx:
            agreement, owners = _visible(tx, agreement_id)
            stepped = step(agreement, principal, owners)
            stepped = _save(tx, stepped, _change(stepped, action, principal.reference, now))
            return self._to_proto(tx, stepped, now)

    def _to_proto(
        self, tx: Transaction, agreement: Agreement, now: datetime
    ) -> agreements_pb2.Agreement:
        message = agreement_to_proto(replace(agreement, state=agreement.state_at(now)))
        if agreement.state is AgreementState.REQUESTED:
            message.approvers.extend(rules.approvers(_owners(tx, agreement), agreement))
        if agreement.state in _ENFORCEABLE:
            enforced = self._enforced(tx, agreement.domain, agreement.revision)
            if enforced is not None:
                message.enforce_time.CopyFrom(to_timestamp(enforced))
            first_read = store.first_read(tx, agreement.id)
            if first_read is not None:
                message.first_read_time.CopyFrom(to_timestamp(first_read))
        return message


_ENFORCEABLE = frozenset({AgreementState.ACTIVE, AgreementState.EXPIRED, AgreementState.REVOKED})


def _enforcement_to_proto(enforcement: rules.Enforcement) -> agreements_pb2.Enforcement:
    message = agreements_pb2.Enforcement(agent=enforcement.agent, enforced=enforcement.is_enforced)
    if enforcement.acknowledged is not None:
        message.acknowledge_time.CopyFrom(to_timestamp(enforcement.acknowledged))
    if enforcement.lease_end is not None:
        message.lease_end_time.CopyFrom(to_timestamp(enforcement.lease_end))
    return message


def _save(tx: Transaction, agreement: Agreement, change: Change) -> Agreement:
    saved = replace(agreement, revision=timeline.record_change(tx, change))
    store.update(tx, saved)
    return saved


def _visible(tx: Transaction, agreement_id: str) -> tuple[Agreement, tuple[str, ...]]:
    """The agreement with its product's owners, if the caller may see it."""
    agreement = store.find(tx, agreement_id)
    if agreement is None:
        raise rules.not_found(agreement_id)
    owners = _owners(tx, agreement)
    if not rules.may_see(agreement, current_caller().principal, owners):
        raise rules.not_found(agreement_id)
    return agreement, owners


def _owners(tx: Transaction, agreement: Agreement) -> tuple[str, ...]:
    """The owners that the newest contract of the product names."""
    published = contracts.find(tx, agreement.domain, agreement.product, "")
    return () if published is None else published.contract.owners


def _view(tx: Transaction, principal: Principal) -> store.View:
    everything = has_any(principal, ADMIN, SECURITY, AUDITOR)
    owned = (
        published.contract.name
        for published in contracts.products(tx)
        if rules.is_owner(principal, published.contract.owners)
    )
    return store.View(
        everything=everything,
        requester=principal.reference,
        consumers=principal.consumers,
        domains=domains_of(principal),
        products=frozenset() if everything else frozenset(owned),
    )


def _change(agreement: Agreement, action: str, actor: str, now: datetime) -> Change:
    name = f"{agreement.domain}.{agreement.product}"
    return Change(
        action=f"agreement.{action}",
        actor=actor,
        time=now,
        reference=agreement.id,
        summary=(f"{agreement.consumer} as {agreement.role} for {agreement.purpose} on {name}"),
        domain=agreement.domain,
        product=name,
        distributed=agreement.state in _ENFORCEABLE,
    )
