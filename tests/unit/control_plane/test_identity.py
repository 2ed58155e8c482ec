"""Which tokens may be issued, the first token, and the keys."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from control_plane.admin import renew_admin_token
from control_plane.identity.keys import open_key_ring
from control_plane.identity.rules import plan_token
from control_plane.settings import SettingsInvalid
from mesh.errors import DutyMissing, RequestInvalid, TokenLifetimeInvalid
from mesh.identity.principal import CONTROL_AUDIENCE, Caller, Principal, PrincipalKind
from mesh.identity.tokens import TokenVerifier

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


def caller(*duties: str, hours: int = 8) -> Caller:
    principal = Principal(PrincipalKind.USER, "ana", ("ops",), duties)
    return Caller(principal, CONTROL_AUDIENCE, "j", NOW + timedelta(hours=hours))


def other(subject: str = "bob", *duties: str, teams: tuple[str, ...] = ()) -> Principal:
    return Principal(PrincipalKind.USER, subject, teams, duties)


def test_a_token_towards_a_domain_carries_teams_and_no_duties() -> None:
    plan = plan_token(caller("admin"), None, "bookings", None, NOW)
    assert plan.audience == "mesh:domain:bookings"
    assert plan.principal == Principal(PrincipalKind.USER, "ana", ("ops",))
    assert plan.expires == NOW + timedelta(hours=1)
    assert not plan.for_other


def test_a_token_of_ones_own_never_outlives_the_one_shown() -> None:
    for domain in ("", "bookings"):
        plan = plan_token(caller(hours=2), None, domain, timedelta(hours=24), NOW)
        assert plan.expires == NOW + timedelta(hours=2)


def test_naming_oneself_is_asking_for_oneself() -> None:
    mine = caller("owner:bookings")
    assert not plan_token(mine, mine.principal, "", None, NOW).for_other


def test_nobody_gives_themselves_teams_or_duties() -> None:
    for wanted in (other("ana", "admin"), other("ana", teams=("finance",))):
        with pytest.raises(DutyMissing):
            plan_token(caller(), wanted, "", None, NOW)


@pytest.mark.parametrize("duty", ["admin", "security"])
def test_admin_and_security_issue_for_others(duty: str) -> None:
    plan = plan_token(caller(duty), other("bob", "owner:fleet"), "", timedelta(hours=24), NOW)
    assert plan.for_other
    assert plan.principal.duties == ("owner:fleet",)
    assert plan.expires == NOW + timedelta(hours=24)


@pytest.mark.parametrize("duty", ["auditor", "owner:bookings", "steward:bookings"])
def test_nobody_else_does(duty: str) -> None:
    with pytest.raises(DutyMissing):
        plan_token(caller(duty), other(), "bookings", None, NOW)


def test_only_admin_makes_an_admin() -> None:
    with pytest.raises(DutyMissing):
        plan_token(caller("security"), other("bob", "admin"), "", None, NOW)
    plan_token(caller("admin"), other("bob", "admin"), "", None, NOW)


@pytest.mark.parametrize("seconds", [0, -1, 24 * 3600 + 1])
def test_a_lifetime_is_between_a_second_and_a_day(seconds: int) -> None:
    with pytest.raises(TokenLifetimeInvalid):
        plan_token(caller(), None, "", timedelta(seconds=seconds), NOW)


@pytest.mark.parametrize("domain", ["Bookings", "main", "a-b", "x" * 64, "a b"])
def test_a_domain_has_a_name(domain: str) -> None:
    with pytest.raises(RequestInvalid):
        plan_token(caller(), None, domain, None, NOW)


@pytest.mark.parametrize(
    "wanted",
    [
        Principal(PrincipalKind.AGENT, "bookings/bookings-1"),
        other(""),
        other("a b"),
        other("a\nb"),
        other("x" * 129),
        other("bob", "root"),
        other("bob", "owner:main"),
        other("bob", teams=("a b",)),
        other("bob", teams=tuple(f"t{n}" for n in range(65))),
    ],
    ids=lambda p: p.reference[:20],
)
def test_a_malformed_principal_is_refused(wanted: Principal) -> None:
    with pytest.raises(RequestInvalid):
        plan_token(caller("admin"), wanted, "", None, NOW)


def test_keys_are_made_once_and_only_their_owner_reads_them(tmp_path: Path) -> None:
    first, second = open_key_ring(tmp_path), open_key_ring(tmp_path)
    assert first.token.public_bytes == second.token.public_bytes
    assert first.token.id == second.token.id
    assert first.token.id != first.snapshot.id
    for name in ("token.key", "snapshot.key"):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.partial"))


def test_a_broken_key_is_told_by_its_path(tmp_path: Path) -> None:
    (tmp_path / "token.key").write_text("no key")
    with pytest.raises(SettingsInvalid, match=r"token\.key"):
        open_key_ring(tmp_path)


def test_the_first_token_is_renewed_only_when_it_has_ended(tmp_path: Path) -> None:
    ring = open_key_ring(tmp_path)
    now = NOW
    path = renew_admin_token(tmp_path, ring, "j1", lambda: now)
    first = path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    proven = TokenVerifier(CONTROL_AUDIENCE, ring, lambda: now).verify(first.strip())
    assert proven.principal == Principal(PrincipalKind.USER, "admin", duties=("admin",))
    now = NOW + timedelta(hours=23)
    assert renew_admin_token(tmp_path, ring, "j2", lambda: now).read_text() == first
    now = NOW + timedelta(hours=24)
    assert renew_admin_token(tmp_path, ring, "j3", lambda: now).read_text() != first


@pytest.mark.parametrize("content", ["", "garbage", "\x00\xff"])
def test_a_damaged_first_token_is_replaced(tmp_path: Path, content: str) -> None:
    ring = open_key_ring(tmp_path)
    (tmp_path / "admin.token").write_text(content)
    path = renew_admin_token(tmp_path, ring, "j", lambda: NOW)
    TokenVerifier(CONTROL_AUDIENCE, ring, lambda: NOW).verify(path.read_text().strip())
