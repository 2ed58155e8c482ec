"""Refusals name what denied and what to do next."""

import pytest

from domain_agent.reads.refusals import refusal
from mesh import errors
from mesh.identity.principal import Principal, PrincipalKind

ANA = Principal(PrincipalKind.USER, "ana")
LIBRARY = {
    "agreement.expired": errors.AgreementExpired,
    "agreement.missing": errors.AgreementMissing,
    "agreement.revoked": errors.AgreementRevoked,
    "column.unclassified": errors.ColumnUnclassified,
    "contract.inactive": errors.ContractInactive,
    "dataset.uncovered": errors.DatasetUncovered,
    "policy.error": errors.PolicyError,
    "purpose.mismatch": errors.PurposeMismatch,
    "purpose.not_allowed": errors.PurposeNotAllowed,
}


def refused(*reasons: str) -> errors.MeshError:
    return refusal(reasons, ANA, "bookings.reservations", "passengers", "marketing")


@pytest.mark.parametrize("reason", LIBRARY)
def test_each_library_reason_has_its_own_error_and_a_next_step(reason: str) -> None:
    error = refused(reason)
    assert type(error) is LIBRARY[reason]
    assert error.reason_id == reason
    assert "{" not in error.message
    assert any(step in error.message for step in ("`mesh", "ask", "request", "operator"))


def test_the_first_reason_leads_and_all_are_kept() -> None:
    error = refused("purpose.mismatch", "purpose.not_allowed")
    assert isinstance(error, errors.PurposeMismatch)
    assert error.metadata["reasons"] == "purpose.mismatch,purpose.not_allowed"


def test_a_layers_reason_is_denied_under_its_own_id() -> None:
    error = refused("organisation.residency")
    assert isinstance(error, errors.PolicyDenied)
    assert error.reason_id == "organisation.residency"


def test_no_reason_at_all_is_a_policy_error() -> None:
    assert isinstance(refused(), errors.PolicyError)
