"""What may be asked, and what is said of a wish that may not."""

from dataclasses import replace
from datetime import timedelta

import pytest

from mesh.agreements.values import AgreementState
from mesh.contracts.parse import read_contract
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
from mesh.identity.principal import Principal, PrincipalKind
from tests.unit.agreements.scenes import ANA, CONTRACT, NOW, OLGA, PETR, asked, user
from tests.unit.control_plane.documents import contract


def test_a_wish_becomes_a_request_for_all_datasets_for_ninety_days() -> None:
    agreement = asked()
    assert agreement.state is AgreementState.REQUESTED
    assert agreement.consumer == agreement.requester == "user:ana"
    assert agreement.datasets == ("bookings", "passengers")
    assert agreement.contract_version == "1.0.0"
    assert agreement.expires == NOW + timedelta(days=90)


def test_a_service_asks_for_itself() -> None:
    service = Principal(PrincipalKind.SERVICE, "bi")
    assert asked(service).consumer == "service:bi"


def test_a_member_asks_for_the_team() -> None:
    assert asked(consumer="team:ops").consumer == "team:ops"


@pytest.mark.parametrize("consumer", ["team:finance", "user:bob", "service:bi"])
def test_nobody_asks_for_others_but_admin_and_security(consumer: str) -> None:
    with pytest.raises(DutyMissing):
        asked(consumer=consumer)
    for duty in ("admin", "security"):
        agreement = asked(user("root", duties=(duty,)), consumer=consumer)
        assert (agreement.consumer, agreement.requester) == (consumer, "user:root")


@pytest.mark.parametrize("consumer", ["ana", "user:", "robot:x", ":ana", "agent:bookings/b-1"])
def test_a_consumer_is_a_user_a_team_or_a_service(consumer: str) -> None:
    with pytest.raises(AgreementInvalid):
        asked(user("root", duties=("admin",)), consumer=consumer)


def test_an_unknown_role_is_told_with_those_there_are() -> None:
    with pytest.raises(RoleUnknown, match="analyst"):
        asked(role="root")


def test_a_purpose_is_registered_and_allowed() -> None:
    with pytest.raises(PurposeUnknown):
        asked(purpose="fun")
    with pytest.raises(PurposeNotAllowed, match="crew-planning"):
        asked(purpose="marketing")
    any_purpose = read_contract(contract(purposes=()))
    assert asked(declared=any_purpose, purpose="marketing").purpose == "marketing"


def test_datasets_exist_and_are_sorted() -> None:
    assert asked(datasets=("passengers", "passengers")).datasets == ("passengers",)
    with pytest.raises(DatasetNotFound, match="passengers"):
        asked(datasets=("crew",))


@pytest.mark.parametrize("status", ["draft", "retired"])
def test_an_inactive_product_can_not_be_asked_for(status: str) -> None:
    with pytest.raises(ContractInactive, match=status):
        asked(declared=replace(CONTRACT, status=status))


@pytest.mark.parametrize(
    "length", [timedelta(0), timedelta(seconds=-1), timedelta(days=366, seconds=1)]
)
def test_the_end_lies_in_the_future_and_within_a_year(length: timedelta) -> None:
    with pytest.raises(AgreementInvalid):
        asked(expires=NOW + length)


def test_the_end_may_be_a_year_away() -> None:
    end = NOW + timedelta(days=365)
    assert asked(expires=end).expires == end


@pytest.mark.parametrize("text", ["", "   ", "x" * 2_001])
def test_a_justification_is_given(text: str) -> None:
    with pytest.raises(AgreementInvalid):
        asked(justification=text)


def test_a_wish_that_nobody_could_approve_says_so() -> None:
    single = read_contract(contract(owners=("olga",)))
    with pytest.raises(ApprovalNoApprover):
        asked(OLGA, declared=single)
    team = read_contract(contract(owners=("team:bookings_team",)))
    with pytest.raises(ApprovalNoApprover):
        asked(PETR, declared=team, consumer="team:bookings_team")
    assert asked(ANA, declared=single).requester == "user:ana"
