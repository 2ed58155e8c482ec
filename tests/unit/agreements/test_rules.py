"""The agreement's life, step by step, and as a machine that hypothesis drives."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from control_plane.agreements import rules
from mesh.agreements.values import Agreement, AgreementState
from mesh.errors import (
    AgreementInvalid,
    AgreementSettled,
    ApprovalSelf,
    DutyMissing,
    MeshError,
)
from mesh.identity.principal import Principal, PrincipalKind
from tests.unit.agreements.scenes import ANA, CONTRACT, NOW, OLGA, PETR, asked, user

OWNERS = CONTRACT.owners
SECURITY = user("sec", duties=("security",))
STEWARD = user("sam", duties=("steward:bookings",))
OTHER_STEWARD = user("max", duties=("steward:fleet",))
STRANGER = user("eve", teams=("finance",))


def active() -> Agreement:
    return rules.approve(asked(), OLGA, OWNERS, "fine", NOW)


def test_an_owner_approves() -> None:
    agreement = active()
    assert agreement.state is AgreementState.ACTIVE
    assert (agreement.decider, agreement.decided, agreement.note) == ("user:olga", NOW, "fine")


def test_a_member_of_an_owning_team_approves() -> None:
    assert rules.approve(asked(), PETR, OWNERS, "", NOW).decider == "user:petr"


@pytest.mark.parametrize("principal", [ANA, STRANGER, SECURITY, STEWARD], ids=lambda p: p.subject)
def test_nobody_but_an_owner_decides(principal: Principal) -> None:
    with pytest.raises(DutyMissing):
        rules.approve(asked(), principal, OWNERS, "", NOW)
    with pytest.raises(DutyMissing):
        rules.reject(asked(), principal, OWNERS, "", NOW)


def test_an_agent_of_an_owners_name_decides_nothing() -> None:
    with pytest.raises(DutyMissing):
        rules.approve(asked(), Principal(PrincipalKind.AGENT, "olga"), OWNERS, "", NOW)


def test_an_owner_who_asked_can_not_decide() -> None:
    agreement = asked(OLGA)
    assert rules.approvers(OWNERS, agreement) == ("team:bookings_team",)
    with pytest.raises(ApprovalSelf):
        rules.approve(agreement, OLGA, OWNERS, "", NOW)
    assert rules.approve(agreement, PETR, OWNERS, "", NOW).state is AgreementState.ACTIVE


def test_an_owner_in_the_team_that_asked_can_not_decide() -> None:
    olga = replace(OLGA, teams=("ops",))
    agreement = asked(ANA, consumer="team:ops")
    with pytest.raises(ApprovalSelf):
        rules.approve(agreement, olga, OWNERS, "", NOW)


def test_a_request_past_its_end_is_not_approved() -> None:
    agreement = asked(expires=NOW + timedelta(hours=1))
    with pytest.raises(AgreementSettled):
        rules.approve(agreement, OLGA, OWNERS, "", NOW + timedelta(hours=1))


def test_only_the_requester_takes_a_request_back() -> None:
    cancelled = rules.cancel(asked(), ANA, NOW)
    assert (cancelled.state, cancelled.ender) == (AgreementState.CANCELLED, "user:ana")
    with pytest.raises(DutyMissing):
        rules.cancel(asked(), OLGA, NOW)


@pytest.mark.parametrize(
    "principal",
    [OLGA, PETR, ANA, SECURITY, STEWARD, user("root", duties=("admin",))],
    ids=lambda p: p.subject,
)
def test_those_concerned_revoke(principal: Principal) -> None:
    revoked = rules.revoke(active(), principal, OWNERS, "left", NOW)
    assert (revoked.state, revoked.ender) == (AgreementState.REVOKED, principal.reference)
    assert (revoked.ended, revoked.note) == (NOW, "left")


@pytest.mark.parametrize("principal", [STRANGER, OTHER_STEWARD, user("aud", duties=("auditor",))])
def test_others_do_not_revoke(principal: Principal) -> None:
    with pytest.raises(DutyMissing):
        rules.revoke(active(), principal, OWNERS, "", NOW)


def test_what_has_expired_is_settled_although_nothing_wrote_it_yet() -> None:
    agreement = active()
    with pytest.raises(AgreementSettled, match="expired"):
        rules.revoke(agreement, OLGA, OWNERS, "", agreement.expires)


def test_an_expired_agreement_ended_when_it_was_to_end() -> None:
    expired = rules.expire(active())
    assert (expired.state, expired.ended) == (AgreementState.EXPIRED, expired.expires)


def test_a_note_has_an_end() -> None:
    with pytest.raises(AgreementInvalid):
        rules.reject(asked(), OLGA, OWNERS, "x" * 2_001, NOW)


def test_the_concerned_see_an_agreement_and_nobody_else() -> None:
    agreement = asked()
    auditor = user("aud", duties=("auditor",))
    for principal in (ANA, OLGA, PETR, SECURITY, STEWARD, auditor):
        assert rules.may_see(agreement, principal, OWNERS)
    for principal in (STRANGER, OTHER_STEWARD, Principal(PrincipalKind.SERVICE, "ana")):
        assert not rules.may_see(agreement, principal, OWNERS)
    team = asked(consumer="team:ops")
    assert rules.may_see(team, user("bob", teams=("ops",)), OWNERS)


class Life(RuleBasedStateMachine):
    """Anybody tries anything at any time; what follows is compared with a table."""

    FOLLOWS = {  # noqa: RUF012 - a table, not a field
        AgreementState.REQUESTED: {
            "approve": AgreementState.ACTIVE,
            "reject": AgreementState.REJECTED,
            "cancel": AgreementState.CANCELLED,
        },
        AgreementState.ACTIVE: {"revoke": AgreementState.REVOKED},
    }
    MAY = {  # noqa: RUF012 - a table, not a field
        "approve": {"olga", "petr"},
        "reject": {"olga", "petr"},
        "cancel": {"ana"},
        "revoke": {"olga", "petr", "ana", "sec", "sam"},
    }

    def __init__(self) -> None:
        super().__init__()
        self.agreement = asked()
        self.now = NOW
        self.history = [self.agreement]

    @initialize(days=st.integers(1, 365))
    def ask(self, days: int) -> None:
        self.agreement = asked(expires=NOW + timedelta(days=days))
        self.history = [self.agreement]

    @rule(hours=st.integers(1, 24 * 200))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)

    @rule(
        step=st.sampled_from(sorted(MAY)),
        by=st.sampled_from([ANA, OLGA, PETR, SECURITY, STEWARD, STRANGER]),
    )
    def step(self, step: str, by: Principal) -> None:
        state = self.agreement.state_at(self.now)
        follows = self.FOLLOWS.get(state, {}).get(step)
        late = step == "approve" and self.now >= self.agreement.expires
        allowed = by.subject in self.MAY[step] and follows is not None and not late
        try:
            after = _step(step, self.agreement, by, self.now)
        except MeshError as refusal:
            assert not allowed, refusal
            assert isinstance(refusal, AgreementSettled | DutyMissing)
            return
        assert allowed
        assert after.state is follows
        self.agreement = after
        self.history.append(after)

    @invariant()
    def what_was_agreed_never_changes(self) -> None:
        first, last = self.history[0], self.agreement
        for field in ("id", "consumer", "requester", "role", "purpose", "datasets", "expires"):
            assert getattr(first, field) == getattr(last, field)

    @invariant()
    def an_active_agreement_has_an_owner_behind_it(self) -> None:
        if self.agreement.state is AgreementState.ACTIVE:
            assert self.agreement.decider in ("user:olga", "user:petr")

    @invariant()
    def nothing_covers_a_read_past_its_end(self) -> None:
        at_end = self.agreement.state_at(self.agreement.expires)
        assert at_end is not AgreementState.ACTIVE


def _step(step: str, agreement: Agreement, by: Principal, now: datetime) -> Agreement:
    match step:
        case "approve":
            return rules.approve(agreement, by, OWNERS, "", now)
        case "reject":
            return rules.reject(agreement, by, OWNERS, "", now)
        case "cancel":
            return rules.cancel(agreement, by, now)
        case _:
            return rules.revoke(agreement, by, OWNERS, "", now)


class TestLife(Life.TestCase):  # type: ignore[misc,valid-type]
    settings = settings(max_examples=100, stateful_step_count=12, deadline=None)
