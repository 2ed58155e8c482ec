"""A contract, its people, and wishes for access to it."""

from dataclasses import replace
from datetime import UTC, datetime

from control_plane.agreements import wishes
from control_plane.agreements.wishes import Wish
from mesh.agreements.values import Agreement
from mesh.contracts.parse import read_contract
from mesh.contracts.values import Contract
from mesh.identity.principal import Principal, PrincipalKind
from tests.unit.control_plane.documents import contract

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
PURPOSES = frozenset({"crew-planning", "marketing"})


def user(name: str, teams: tuple[str, ...] = (), duties: tuple[str, ...] = ()) -> Principal:
    """A user with teams and duties."""
    return Principal(PrincipalKind.USER, name, teams, duties)


ANA = user("ana", teams=("ops",))
OLGA = user("olga")
PETR = user("petr", teams=("bookings_team",))
CONTRACT = read_contract(contract(owners=("olga", "team:bookings_team")))
WISH = Wish(
    role="analyst",
    purpose="crew-planning",
    datasets=(),
    justification="plan crews",
    consumer="",
    expires=None,
)


def asked(
    requester: Principal = ANA,
    declared: Contract = CONTRACT,
    agreement_id: str = "a1",
    **changes: object,
) -> Agreement:
    """The agreement that a wish makes; `changes` are fields of the wish."""
    wish = replace(WISH, **changes)  # type: ignore[arg-type]
    return wishes.request(wish, declared, PURPOSES, requester, agreement_id, NOW)
