"""The agreement's life: what may be asked, who decides, what follows what. All of it pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from mesh.agreements.values import Agreement, AgreementState
from mesh.errors import (
    AgreementInvalid,
    AgreementNotFound,
    AgreementSettled,
    ApprovalSelf,
    DutyMissing,
)
from mesh.identity.duties import (
    ADMIN,
    AUDITOR,
    OWNER,
    SECURITY,
    STEWARD,
    domains_of,
    has_any,
)
from mesh.identity.principal import Principal, PrincipalKind

MAX_TEXT = 2_000
_TEAM = "team:"


@dataclass(frozen=True, slots=True)
class Enforcement:
    """Whether an agent enforces an agreement's latest change, as seen at an instant.

    `lease_end` is when it stops serving by itself, None if it never had a lease.
    """

    agent: str
    acknowledged: datetime | None
    lease_end: datetime | None
    seen: datetime

    @property
    def is_enforced(self) -> bool:
        """Also when nothing can be served any more."""
        return (
            self.acknowledged is not None or self.lease_end is None or self.lease_end <= self.seen
        )


def approvers(owners: Iterable[str], agreement: Agreement) -> tuple[str, ...]:
    """The owners who may decide: not the requester, not the consumer, not the consuming team."""
    conflicted = {agreement.requester, agreement.consumer}
    return tuple(owner for owner in owners if conflicted.isdisjoint(_owner_references(owner)))


def is_owner(principal: Principal, owners: Iterable[str]) -> bool:
    """Whether the contract names the principal, or a team of theirs, as owner."""
    own = {principal.subject, *(f"{_TEAM}{team}" for team in principal.teams)}
    return principal.kind is not PrincipalKind.AGENT and not own.isdisjoint(owners)


def approve(
    agreement: Agreement, principal: Principal, owners: Iterable[str], note: str, now: datetime
) -> Agreement:
    """The agreement, active. Raises AgreementSettled, DutyMissing or ApprovalSelf."""
    _check_decider(agreement, principal, owners)
    _check_state(agreement, AgreementState.REQUESTED, "approved", now)
    if now >= agreement.expires:
        raise AgreementSettled(
            f"the access asked for in {agreement.id} has ended before it was approved;"
            " ask for a new one",
            agreement=agreement.id,
            state=agreement.state.value,
        )
    return replace(
        agreement,
        state=AgreementState.ACTIVE,
        decider=principal.reference,
        decided=now,
        note=_note(note),
    )


def reject(
    agreement: Agreement, principal: Principal, owners: Iterable[str], note: str, now: datetime
) -> Agreement:
    """The agreement, rejected. Raises AgreementSettled, DutyMissing or ApprovalSelf."""
    _check_decider(agreement, principal, owners)
    _check_state(agreement, AgreementState.REQUESTED, "rejected", now)
    return replace(
        agreement,
        state=AgreementState.REJECTED,
        decider=principal.reference,
        decided=now,
        note=_note(note),
    )


def cancel(agreement: Agreement, principal: Principal, now: datetime) -> Agreement:
    """The request, taken back. Raises AgreementSettled or DutyMissing."""
    if principal.reference != agreement.requester:
        raise DutyMissing(
            f"only {agreement.requester}, who asked, can take the request back",
            action="agreement.cancel",
        )
    _check_state(agreement, AgreementState.REQUESTED, "cancelled", now)
    return replace(agreement, state=AgreementState.CANCELLED, ender=principal.reference, ended=now)


def revoke(
    agreement: Agreement, principal: Principal, owners: Iterable[str], note: str, now: datetime
) -> Agreement:
    """The agreement, ended early. Raises AgreementSettled or DutyMissing."""
    if not (
        is_owner(principal, owners)
        or agreement.consumer in principal.consumers
        or has_any(principal, ADMIN, SECURITY, *_domain_duties(agreement.domain))
    ):
        raise DutyMissing(
            "only an owner of the product, the domain's steward, security, admin or the"
            " consumer can revoke",
            action="agreement.revoke",
        )
    _check_state(agreement, AgreementState.ACTIVE, "revoked", now)
    return replace(
        agreement,
        state=AgreementState.REVOKED,
        ender=principal.reference,
        ended=now,
        note=_note(note),
    )


def expire(agreement: Agreement) -> Agreement:
    """The agreement, past its end."""
    return replace(agreement, state=AgreementState.EXPIRED, ended=agreement.expires)


def may_see(agreement: Agreement, principal: Principal, owners: Iterable[str]) -> bool:
    """Whether somebody may know of the agreement."""
    return (
        agreement.requester == principal.reference
        or agreement.consumer in principal.consumers
        or has_any(principal, ADMIN, SECURITY, AUDITOR)
        or agreement.domain in domains_of(principal)
        or is_owner(principal, owners)
    )


def not_found(agreement_id: str) -> AgreementNotFound:
    """What is said of an agreement that does not exist or may not be seen: the same."""
    return AgreementNotFound(
        f"there is no agreement {agreement_id!r} that you may see; `mesh access list` shows yours",
        agreement=agreement_id,
    )


def _note(text: str) -> str:
    if len(text) > MAX_TEXT:
        raise AgreementInvalid(f"a note has at most {MAX_TEXT} characters", field="note")
    return text.strip()


def _owner_references(owner: str) -> set[str]:
    """A contract's owner, as agreements write consumers and requesters."""
    return {owner} if owner.startswith(_TEAM) else {f"user:{owner}", f"service:{owner}"}


def _domain_duties(domain: str) -> tuple[str, str]:
    return f"{OWNER}:{domain}", f"{STEWARD}:{domain}"


def _check_decider(agreement: Agreement, principal: Principal, owners: Iterable[str]) -> None:
    """Only an owner decides, and nobody about themselves or their own team."""
    if not is_owner(principal, owners):
        raise DutyMissing(
            "only an owner that the contract names decides on access; `mesh access show` lists"
            " the approvers",
            action="agreement.decide",
        )
    if agreement.requester == principal.reference or agreement.consumer in principal.consumers:
        raise ApprovalSelf(
            "an owner who asked, or is in the team that asked, can't decide on it;"
            " another owner can",
            agreement=agreement.id,
        )


def _check_state(agreement: Agreement, wanted: AgreementState, step: str, now: datetime) -> None:
    state = agreement.state_at(now)
    if state is not wanted:
        raise AgreementSettled(
            f"the agreement is {state}, so it can't be {step}; only one that is {wanted} can",
            agreement=agreement.id,
            state=state.value,
        )
