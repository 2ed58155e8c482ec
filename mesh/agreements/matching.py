"""Which agreements a read may rest on, and in which order they are tried."""

from collections.abc import Iterable
from datetime import datetime

from mesh.agreements.values import Agreement, AgreementState
from mesh.identity.principal import Principal

# An agreement that never was active says nothing about a read.
CANDIDATES = frozenset({AgreementState.ACTIVE, AgreementState.EXPIRED, AgreementState.REVOKED})


def matching(
    agreements: Iterable[Agreement],
    principal: Principal,
    domain: str,
    product: str,
    named: frozenset[str] = frozenset(),
) -> list[Agreement]:
    """The principal's agreements for a product: active first, own before team's, then oldest.

    `named` limits them to those ids; empty means all. Ended ones are kept, at the end of the
    list, so that a refusal can say why. Purposes are left to policy.
    """
    consumers = principal.consumers
    found = [
        agreement
        for agreement in agreements
        if agreement.consumer in consumers
        and agreement.domain == domain
        and agreement.product == product
        and agreement.state in CANDIDATES
        and (not named or agreement.id in named)
    ]
    return sorted(found, key=precedence)


def precedence(agreement: Agreement) -> tuple[bool, bool, datetime, str]:
    """Sorts agreements in the order in which they are tried, whoever reads."""
    return (
        agreement.state is not AgreementState.ACTIVE,
        agreement.consumer.startswith("team:"),
        agreement.requested,
        agreement.id,
    )
