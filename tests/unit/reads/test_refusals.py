"""Refusals name what denied and what to do next."""

import re

import pytest

from domain_agent.reads.refusals import recorded, refusal
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


@pytest.mark.parametrize("reason", LIBRARY)
def test_evidence_of_a_denial_tells_as_much_and_not_who_it_was(reason: str) -> None:
    error = refused(reason)
    kept = recorded(error)
    assert "user:ana" not in kept.message
    assert kept.message == error.message.replace("user:ana", "the reader")
    assert (kept.reason_id, kept.metadata) == (reason, {"reasons": reason})


def test_evidence_of_a_layers_denial_keeps_its_id() -> None:
    kept = recorded(refused("organisation.residency"))
    assert kept.reason_id == "organisation.residency"
    assert "organisation.residency" in kept.message


def every_class() -> list[type[errors.MeshError]]:
    found = [error for kind in errors.KINDS for error in kind.__subclasses__()]
    return [error for error in found if error.__module__.startswith("mesh.errors")]


@pytest.mark.parametrize("class_", every_class())
def test_evidence_has_a_sentence_for_every_error_and_no_metadata(
    class_: type[errors.MeshError],
) -> None:
    kept = recorded(class_("it is said", field="hunter2", receipt="hunter2"))
    assert kept.metadata == {}
    assert kept.reason == class_.reason
    assert re.fullmatch(r"it is said|[A-Z].*\.", kept.message)


@pytest.mark.parametrize(
    "class_",
    [
        errors.StatementNameUnknown,
        errors.StatementNameReserved,
        errors.StatementFunctionNotAllowed,
        errors.StatementNotAllowed,
        errors.StatementInvalid,
        errors.StatementFailed,
        errors.StatementParametersInvalid,
        errors.PurposeUnknown,
        errors.PolicyError,
        errors.AgentOverloaded,
        errors.DatasetNotFound,
        errors.RequestInvalid,
    ],
)
def test_evidence_repeats_no_message_that_quotes_the_reader(
    class_: type[errors.MeshError],
) -> None:
    assert "hunter2" not in recorded(class_("there is no hunter2")).message


def test_evidence_says_which_rule_for_statistics_a_statement_broke() -> None:
    refused = errors.StatementAggregatesOnly("it has QUALIFY", product="p", dataset="d")
    assert recorded(refused).message == "it has QUALIFY"
