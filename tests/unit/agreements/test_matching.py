"""Which agreements a read may rest on, and in which order."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from mesh.agreements.matching import matching
from mesh.agreements.values import Agreement, AgreementState
from mesh.identity.principal import Principal, PrincipalKind

NOW = datetime(2026, 11, 24, tzinfo=UTC)
ANA = Principal(PrincipalKind.USER, "ana", ("ops", "crew"))
OWN = Agreement(
    id="own",
    domain="bookings",
    product="reservations",
    contract_version="1.0.0",
    consumer="user:ana",
    role="analyst",
    purpose="crew-planning",
    datasets=("passengers",),
    justification="plan",
    requester="user:ana",
    state=AgreementState.ACTIVE,
    requested=NOW,
    expires=NOW + timedelta(days=90),
)
TEAM = replace(OWN, id="team", consumer="team:ops", requested=NOW - timedelta(days=9))


def found(*agreements: Agreement, named: frozenset[str] = frozenset()) -> list[str]:
    return [a.id for a in matching(agreements, ANA, "bookings", "reservations", named)]


def test_own_agreements_come_before_the_teams_and_then_the_oldest() -> None:
    older = replace(OWN, id="older", requested=NOW - timedelta(days=1))
    assert found(TEAM, OWN, older) == ["older", "own", "team"]


def test_agreements_of_others_and_of_other_products_are_left_out() -> None:
    assert (
        found(
            replace(OWN, consumer="user:bob"),
            replace(OWN, consumer="service:ana"),
            replace(OWN, consumer="team:finance"),
            replace(OWN, domain="fleet"),
            replace(OWN, product="fares"),
        )
        == []
    )


def test_ended_agreements_come_last_so_that_a_refusal_can_say_why() -> None:
    revoked = replace(OWN, id="revoked", state=AgreementState.REVOKED)
    expired = replace(OWN, id="expired", state=AgreementState.EXPIRED, requested=NOW)
    assert found(revoked, expired, TEAM) == ["team", "expired", "revoked"]


def test_what_never_was_active_says_nothing_about_a_read() -> None:
    never = (AgreementState.REQUESTED, AgreementState.REJECTED, AgreementState.CANCELLED)
    assert found(*(replace(OWN, state=state) for state in never)) == []


def test_named_agreements_are_the_only_ones() -> None:
    assert found(OWN, TEAM, named=frozenset({"team", "unknown"})) == ["team"]


def test_an_active_agreement_past_its_end_is_expired() -> None:
    assert OWN.state_at(OWN.expires - timedelta(seconds=1)) is AgreementState.ACTIVE
    assert OWN.state_at(OWN.expires) is AgreementState.EXPIRED
    revoked = replace(OWN, state=AgreementState.REVOKED)
    assert revoked.state_at(OWN.expires) is AgreementState.REVOKED
