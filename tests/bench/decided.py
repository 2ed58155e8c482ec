"""What decisions are measured on: a dataset of six column classes, and an agreement per reader."""

from datetime import UTC, datetime, timedelta

from mesh.agreements.values import Agreement, AgreementState
from mesh.contracts.values import Classification, Column, Contract, Dataset, Role, Server
from mesh.decisions.inputs import DecisionInput, ReadRequest, decision_input
from mesh.identity.principal import Principal, PrincipalKind

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
_PUBLIC, _INTERNAL = Classification.PUBLIC, Classification.INTERNAL
_CONFIDENTIAL, _RESTRICTED = Classification.CONFIDENTIAL, Classification.RESTRICTED
_COLUMNS = (
    Column("id", "integer", None, _CONFIDENTIAL, "identity", ("pii",), "pseudonym"),
    Column("name", "string", None, _CONFIDENTIAL, "identity", ("pii",), "constant"),
    Column("email", "string", None, _CONFIDENTIAL, "contact", ("pii",), "partial"),
    Column("passport", "string", None, _RESTRICTED, "government-id", ("pii",)),
    Column("country", "string", None, _INTERNAL),
    Column("carrier", "string", None, _PUBLIC),
)
CONTRACT = Contract(
    domain="bookings",
    product="reservations",
    version="1.0.0",
    contract_id="measured",
    status="active",
    title="Reservations",
    owners=("user:olga",),
    purposes=("crew-planning", "customer-care"),
    roles=(Role("analyst", row_filter={"column": "country", "op": "eq", "value": "DE"}),),
    datasets=(Dataset("passengers", "passengers.parquet", _COLUMNS),),
    server=Server(".", "parquet"),
    residency="eu",
    legal_basis="contract",
)


def asked(number: int) -> DecisionInput:
    """The input of one reader; no two numbers have the same."""
    reader = f"reader-{number}"
    principal = Principal(PrincipalKind.USER, reader, teams=("ops", "planning"))
    request = ReadRequest(principal, "crew-planning", NOW, "bookings", "bookings-1")
    return decision_input(request, CONTRACT, "passengers", agreement(number))


def agreement(number: int) -> Agreement:
    """The reader's agreement."""
    return Agreement(
        id=f"019a8c2e-0000-7000-8000-{number:012x}",
        domain="bookings",
        product="reservations",
        contract_version="1.0.0",
        consumer=f"user:reader-{number}",
        role="analyst",
        purpose="crew-planning",
        datasets=("passengers",),
        justification="measured",
        requester=f"user:reader-{number}",
        state=AgreementState.ACTIVE,
        requested=NOW - timedelta(days=30),
        expires=NOW + timedelta(days=60),
        decider="user:olga",
        decided=NOW - timedelta(days=29),
    )
