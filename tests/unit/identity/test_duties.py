"""Duties: which exist, and whose domains they are."""

import pytest

from mesh.identity.duties import answers_for, domains_of, has_any, is_duty
from mesh.identity.principal import Principal, PrincipalKind

SAM = Principal(PrincipalKind.USER, "sam", duties=("auditor", "owner:fleet", "steward:bookings"))


@pytest.mark.parametrize(
    "text", ["admin", "security", "auditor", "owner:bookings", "steward:fleet_2", "opa:bookings"]
)
def test_a_duty_is_known(text: str) -> None:
    assert is_duty(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "root",
        "Admin",
        "owner",
        "owner:",
        "owner:Main",
        "owner:main",
        "admin:bookings",
        "a:b:c",
        "opa",
    ],
)
def test_anything_else_is_no_duty(text: str) -> None:
    assert not is_duty(text)


def test_owners_and_stewards_answer_for_their_domains() -> None:
    assert domains_of(SAM) == {"bookings", "fleet"}
    assert answers_for(SAM, "fleet")
    assert not answers_for(SAM, "weather")


def test_an_opa_answers_for_no_domain() -> None:
    opa = Principal(PrincipalKind.SERVICE, "opa", duties=("opa:bookings",))
    assert domains_of(opa) == frozenset()


def test_a_mesh_wide_duty_is_one_of_those_asked_for() -> None:
    assert has_any(SAM, "admin", "auditor")
    assert not has_any(SAM, "admin", "security")
