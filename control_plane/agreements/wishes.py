"""What may be asked: the checks that turn a wish into an agreement in state requested. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from control_plane.agreements.rules import MAX_TEXT, approvers
from mesh.agreements.values import Agreement, AgreementState
from mesh.contracts.values import READABLE_STATUSES, Contract
from mesh.errors import (
    AgreementInvalid,
    ApprovalNoApprover,
    ContractInactive,
    DatasetNotFound,
    DutyMissing,
    PurposeNotAllowed,
    PurposeUnknown,
    RoleUnknown,
)
from mesh.identity.duties import ADMIN, SECURITY, has_any
from mesh.identity.principal import Principal

DEFAULT_LENGTH = timedelta(days=90)
MAX_LENGTH = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asks for; empty datasets mean all, an empty consumer means oneself."""

    role: str
    purpose: str
    datasets: tuple[str, ...]
    justification: str
    consumer: str
    expires: datetime | None


def request(
    wish: Wish,
    contract: Contract,
    purposes: frozenset[str],
    requester: Principal,
    agreement_id: str,
    now: datetime,
) -> Agreement:
    """The agreement that is asked for, in state requested. Raises what is wrong with the wish."""
    if contract.status not in READABLE_STATUSES:
        raise ContractInactive(
            f"{contract.name} {contract.version} is {contract.status}; only"
            " active and deprecated products can be read",
            product=contract.name,
        )
    _check_role(wish.role, contract)
    _check_purpose(wish.purpose, contract, purposes)
    consumer = _consumer(wish.consumer, requester)
    agreement = Agreement(
        id=agreement_id,
        domain=contract.domain,
        product=contract.product,
        contract_version=contract.version,
        consumer=consumer,
        role=wish.role,
        purpose=wish.purpose,
        datasets=_datasets(wish.datasets, contract),
        justification=_justification(wish.justification),
        requester=requester.reference,
        state=AgreementState.REQUESTED,
        requested=now,
        expires=_end(wish.expires, now),
    )
    if not approvers(contract.owners, agreement):
        raise ApprovalNoApprover(
            f"every owner of {contract.name} asks here for themselves or their team, so nobody"
            " could approve; add another owner to the contract",
            product=contract.name,
        )
    return agreement


def _check_role(role: str, contract: Contract) -> None:
    if contract.role(role) is None:
        offered = ", ".join(sorted(offer.name for offer in contract.roles)) or "none"
        raise RoleUnknown(
            f"{contract.name} offers no role {role!r}; its roles: {offered}",
            product=contract.name,
            role=role,
        )


def _check_purpose(purpose: str, contract: Contract, purposes: frozenset[str]) -> None:
    if purpose not in purposes:
        raise PurposeUnknown(
            f"purpose {purpose!r} is not registered; `mesh purpose list` shows those that are",
            purpose=purpose,
        )
    if contract.purposes and purpose not in contract.purposes:
        raise PurposeNotAllowed(
            f"{contract.name} may not be read for {purpose}; it allows"
            f" {', '.join(sorted(contract.purposes))}",
            purpose=purpose,
            product=contract.name,
        )


def _consumer(consumer: str, requester: Principal) -> str:
    """The consumer; only admin and security may name somebody else."""
    if not consumer or consumer in requester.consumers:
        return consumer or requester.reference
    kind, separator, name = consumer.partition(":")
    if not separator or not name or kind not in ("user", "team", "service"):
        raise AgreementInvalid(
            f"consumer {consumer!r} is none; write user:<name>, team:<name> or service:<name>",
            field="consumer",
        )
    if not has_any(requester, ADMIN, SECURITY):
        raise DutyMissing(
            f"you can ask for yourself and your teams, not for {consumer}; admin and security can",
            action="agreement.request",
        )
    return consumer


def _datasets(wanted: tuple[str, ...], contract: Contract) -> tuple[str, ...]:
    for name in wanted:
        if contract.dataset(name) is None:
            offered = ", ".join(dataset.name for dataset in contract.datasets)
            raise DatasetNotFound(
                f"{contract.name} has no dataset {name!r}; its datasets: {offered}",
                product=contract.name,
                dataset=name,
            )
    names = wanted or tuple(dataset.name for dataset in contract.datasets)
    return tuple(sorted(set(names)))


def _justification(text: str) -> str:
    if not 1 <= len(text.strip()) <= MAX_TEXT:
        raise AgreementInvalid(
            f"say why the access is needed, in 1 to {MAX_TEXT} characters", field="justification"
        )
    return text.strip()


def _end(expires: datetime | None, now: datetime) -> datetime:
    end = (expires or now + DEFAULT_LENGTH).replace(microsecond=0)
    if not now < end <= now + MAX_LENGTH:
        raise AgreementInvalid(
            "the end of the access lies in the future and at most a year away",
            field="expire_time",
        )
    return end
