"""Agreements, contracts and purposes over real gRPC: the whole life, and who sees what."""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import grpc
import pytest

from mesh.errors import (
    AgentDomainForeign,
    AgreementInvalid,
    AgreementNotFound,
    AgreementSettled,
    ApprovalSelf,
    ContractInvalid,
    ContractNotFound,
    ContractTooLarge,
    ContractVersionTaken,
    DutyMissing,
    PurposeTaken,
    RequestInvalid,
    RequestTooLarge,
)
from mesh.v1 import agreements_pb2, audit_pb2, contracts_pb2, purposes_pb2
from mesh.wire.times import to_timestamp
from tests.unit.control_plane.documents import contract
from tests.unit.control_plane.running import Client, Plane, error_of, eventually, running


@pytest.fixture(scope="module")
def plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plane]:
    with running(tmp_path_factory.mktemp("plane") / "state") as plane:
        plane.purpose()
        publish(plane.admin, contract(owners=("olga", "team:bookings_team")))
        yield plane


def publish(client: Client, document: bytes) -> contracts_pb2.PublishContractResponse:
    return client.contracts.PublishContract(contracts_pb2.PublishContractRequest(document=document))


def wish(**changes: object) -> agreements_pb2.RequestAgreementRequest:
    request = agreements_pb2.RequestAgreementRequest(
        domain="bookings",
        product="reservations",
        role="analyst",
        purpose="crew-planning",
        justification="plan crews",
    )
    for field, value in changes.items():
        setattr(request, field, value)
    return request


def ask(client: Client, **changes: object) -> agreements_pb2.Agreement:
    return client.agreements.RequestAgreement(wish(**changes)).agreement


def show(client: Client, agreement: str) -> agreements_pb2.Agreement:
    return client.agreements.GetAgreement(
        agreements_pb2.GetAgreementRequest(id=agreement)
    ).agreement


def approve(client: Client, agreement: str) -> agreements_pb2.Agreement:
    return client.agreements.ApproveAgreement(
        agreements_pb2.ApproveAgreementRequest(id=agreement, note="fine")
    ).agreement


def test_a_request_is_decided_once_and_ends_once(plane: Plane) -> None:
    ana, olga = plane.user("ana"), plane.user("olga")
    asked = ask(ana)
    assert list(asked.approvers) == ["olga", "team:bookings_team"]
    active = approve(olga, asked.id)
    assert (active.state, active.decider, active.note) == (
        agreements_pb2.AGREEMENT_STATE_ACTIVE,
        "user:olga",
        "fine",
    )
    assert active.revision > asked.revision
    assert isinstance(error_of(lambda: approve(olga, asked.id)), AgreementSettled)
    cancel = agreements_pb2.CancelAgreementRequest(id=asked.id)
    assert isinstance(error_of(lambda: ana.agreements.CancelAgreement(cancel)), AgreementSettled)
    revoke = agreements_pb2.RevokeAgreementRequest(id=asked.id, note="left")
    ended = ana.agreements.RevokeAgreement(revoke).agreement
    assert (ended.state, ended.ender) == (agreements_pb2.AGREEMENT_STATE_REVOKED, "user:ana")
    assert isinstance(error_of(lambda: ana.agreements.RevokeAgreement(revoke)), AgreementSettled)


def test_a_request_is_rejected_or_taken_back(plane: Plane) -> None:
    ana, petr = plane.user("ana"), plane.user("petr", teams=("bookings_team",))
    reject = agreements_pb2.RejectAgreementRequest(id=ask(ana).id, note="no")
    rejected = petr.agreements.RejectAgreement(reject).agreement
    assert rejected.state == agreements_pb2.AGREEMENT_STATE_REJECTED
    cancel = agreements_pb2.CancelAgreementRequest(id=ask(ana).id)
    cancelled = ana.agreements.CancelAgreement(cancel).agreement
    assert cancelled.state == agreements_pb2.AGREEMENT_STATE_CANCELLED


def test_a_retried_request_makes_one_agreement(plane: Plane) -> None:
    ana, bob = plane.user("ana"), plane.user("bob")
    first = ask(ana, request_id="r-1")
    assert ask(ana, request_id="r-1").id == first.id
    assert ask(bob, request_id="r-1").id != first.id
    another = error_of(lambda: ask(ana, request_id="r-1", purpose="delay-analysis"))
    assert isinstance(another, RequestInvalid)
    assert ask(ana).id != first.id
    too_long = error_of(lambda: ask(ana, request_id="x" * 129))
    assert isinstance(too_long, RequestInvalid)


def test_an_owner_can_not_approve_what_they_asked_for(plane: Plane) -> None:
    olga, petr = plane.user("olga"), plane.user("petr", teams=("bookings_team",))
    asked = ask(olga)
    assert list(asked.approvers) == ["team:bookings_team"]
    assert isinstance(error_of(lambda: approve(olga, asked.id)), ApprovalSelf)
    assert approve(petr, asked.id).decider == "user:petr"


def test_those_who_may_not_see_an_agreement_can_not_tell_it_from_none(plane: Plane) -> None:
    asked = ask(plane.user("ana"))
    eve = plane.user("eve", duties=("steward:fleet", "owner:fleet"))
    unknown = error_of(lambda: show(eve, "01900000-0000-7000-8000-000000000000"))
    for call in (
        lambda: show(eve, asked.id),
        lambda: approve(eve, asked.id),
        lambda: eve.agreements.RevokeAgreement(agreements_pb2.RevokeAgreementRequest(id=asked.id)),
    ):
        hidden = error_of(call)
        assert isinstance(hidden, AgreementNotFound)
        assert hidden.message.replace(asked.id, "X") == unknown.message.replace(
            "01900000-0000-7000-8000-000000000000", "X"
        )
    assert asked.id not in listed(eve)
    for insider in (
        plane.user("olga"),
        plane.user("petr", teams=("bookings_team",)),
        plane.user("sam", duties=("steward:bookings",)),
        plane.user("aud", duties=("auditor",)),
        plane.user("sec", duties=("security",)),
        plane.admin,
    ):
        assert show(insider, asked.id).id == asked.id
        assert asked.id in listed(insider)


def test_a_stranger_who_sees_an_agreement_still_can_not_decide(plane: Plane) -> None:
    asked = ask(plane.user("ana"))
    for duty in ("auditor", "security", "steward:bookings", "admin"):
        other = plane.user("other", duties=(duty,))
        assert isinstance(error_of(partial(approve, other, asked.id)), DutyMissing)


def listed(client: Client, **wanted: object) -> list[str]:
    """The ids of every agreement, page by page."""
    ids: list[str] = []
    token = ""
    while True:
        request = agreements_pb2.ListAgreementsRequest(page_size=3, page_token=token)
        for field, value in wanted.items():
            setattr(request, field, value)
        page = client.agreements.ListAgreements(request)
        ids += [agreement.id for agreement in page.agreements]
        token = page.next_page_token
        if not token:
            return ids


def test_agreements_are_listed_newest_first_and_selected(plane: Plane) -> None:
    dora = plane.user("dora", teams=("ops",))
    ids = [ask(dora).id for _ in range(7)] + [ask(dora, consumer="team:ops").id]
    assert listed(dora)[: len(ids)] == ids[::-1]
    assert listed(dora, consumer="team:ops")[0] == ids[-1]
    assert listed(dora, domain="fleet") == []
    assert listed(dora, state=agreements_pb2.AGREEMENT_STATE_ACTIVE) == []
    wrong = agreements_pb2.ListAgreementsRequest(page_size=501)
    assert isinstance(error_of(lambda: dora.agreements.ListAgreements(wrong)), RequestInvalid)


def test_an_agreement_expires_and_the_timeline_tells(tmp_path: Path) -> None:
    with running(tmp_path / "state") as plane:
        plane.purpose()
        publish(plane.admin, contract())
        admin, olga = plane.admin, plane.user("olga")
        request = wish()
        request.expire_time.CopyFrom(to_timestamp(plane.clock() + timedelta(hours=2)))
        asked = admin.agreements.RequestAgreement(request).agreement
        approve(olga, asked.id)
        plane.clock.ahead = timedelta(hours=2, seconds=1)
        eventually(
            lambda: any(
                (entry.action, entry.reference) == ("agreement.expired", asked.id)
                for entry in admin.audit.ListEntries(audit_pb2.ListEntriesRequest()).entries
            )
        )
        shown = show(admin, asked.id)
        assert shown.state == agreements_pb2.AGREEMENT_STATE_EXPIRED
        assert shown.end_time == shown.expire_time


def test_a_wish_with_a_past_end_is_refused(plane: Plane) -> None:
    request = wish()
    request.expire_time.CopyFrom(to_timestamp(plane.clock() - timedelta(seconds=1)))
    error = error_of(lambda: plane.admin.agreements.RequestAgreement(request))
    assert isinstance(error, AgreementInvalid)


def test_an_unknown_product_can_not_be_asked_for(plane: Plane) -> None:
    assert isinstance(error_of(lambda: ask(plane.user("ana"), product="none")), ContractNotFound)


def test_publishing_again_changes_nothing_and_other_content_is_refused(plane: Plane) -> None:
    first = publish(plane.admin, contract("fares"))
    again = publish(plane.admin, contract("fares"))
    assert (first.created, again.created) == (True, False)
    assert again.contract == first.contract
    other = error_of(lambda: publish(plane.admin, contract("fares", owners=("eve",))))
    assert isinstance(other, ContractVersionTaken)
    newer = publish(plane.admin, contract("fares", version="1.1.0"))
    got = plane.admin.contracts.GetContract(
        contracts_pb2.GetContractRequest(domain="bookings", product="fares")
    )
    assert got.contract.document == contract("fares", version="1.1.0")
    assert got.contract.revision == newer.contract.revision
    assert list(got.versions) == ["1.1.0", "1.0.0"]
    old = plane.admin.contracts.GetContract(
        contracts_pb2.GetContractRequest(domain="bookings", product="fares", version="1.0.0")
    )
    assert old.contract.document == contract("fares")
    missing = contracts_pb2.GetContractRequest(domain="bookings", product="fares", version="9")
    assert isinstance(
        error_of(lambda: plane.admin.contracts.GetContract(missing)), ContractNotFound
    )


def test_products_are_listed_by_name_without_their_documents(plane: Plane) -> None:
    publish(plane.admin, contract("aaa", domain="fleet"))
    names: list[str] = []
    token = ""
    while True:
        page = plane.user("ana").contracts.ListProducts(
            contracts_pb2.ListProductsRequest(page_size=1, page_token=token)
        )
        assert not any(product.document for product in page.contracts)
        names += [f"{product.domain}.{product.product}" for product in page.contracts]
        token = page.next_page_token
        if not token:
            break
    assert names == sorted(set(names))
    assert {"bookings.reservations", "fleet.aaa"} <= set(names)
    fleet = plane.admin.contracts.ListProducts(contracts_pb2.ListProductsRequest(domain="fleet"))
    assert [product.product for product in fleet.contracts] == ["aaa"]


def test_only_the_domain_publishes_for_itself(plane: Plane) -> None:
    agent = plane.agent("fleet", "fleet-1")
    foreign = error_of(lambda: publish(agent, contract("stolen")))
    assert isinstance(foreign, AgentDomainForeign)
    publish(agent, contract("planes", domain="fleet"))
    owner = plane.user("olaf", duties=("owner:fleet",))
    publish(owner, contract("airports", domain="fleet"))
    assert isinstance(error_of(lambda: publish(owner, contract("stolen"))), DutyMissing)
    ana = plane.user("ana")
    assert isinstance(error_of(lambda: publish(ana, contract("own", domain="fleet"))), DutyMissing)


@pytest.mark.parametrize(
    "document",
    [b"", b"\xff\xfe", b"a: [", b"a: &x [*x]", contract(owners=()), contract("Bad-Name")],
    ids=["empty", "binary", "broken", "alias", "no owner", "bad name"],
)
def test_a_bad_contract_is_refused_with_its_problems(plane: Plane, document: bytes) -> None:
    before = revision(plane)
    error = error_of(lambda: publish(plane.admin, document))
    assert isinstance(error, ContractInvalid)
    assert int(error.metadata["problems"]) >= 1
    assert revision(plane) == before


def test_a_contract_with_an_unregistered_purpose_is_refused(plane: Plane) -> None:
    error = error_of(lambda: publish(plane.admin, contract("p", purposes=("unregistered",))))
    assert isinstance(error, ContractInvalid)
    assert "unregistered" in error.message


def test_a_large_contract_is_refused_at_every_size(plane: Plane) -> None:
    half = error_of(lambda: publish(plane.admin, b"#" * (512 * 1024 + 1)))
    assert isinstance(half, ContractTooLarge)
    two = error_of(lambda: publish(plane.admin, b"#" * (2 * 1024 * 1024)))
    assert isinstance(two, RequestTooLarge)
    with pytest.raises(grpc.RpcError) as fifty:
        publish(plane.admin, b"#" * (50 * 1024 * 1024))
    assert fifty.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def revision(plane: Plane) -> int:
    changes = plane.admin.audit.ListEntries(audit_pb2.ListEntriesRequest(kind="change"))
    return max(entry.revision for entry in changes.entries)


def test_a_purpose_is_added_once(plane: Plane) -> None:
    add = plane.admin.purposes.AddPurpose
    request = purposes_pb2.AddPurposeRequest(id="care", title="Customer care")
    assert (add(request).created, add(request).created) == (True, False)
    other = purposes_pb2.AddPurposeRequest(id="care", title="Something else")
    assert isinstance(error_of(lambda: add(other)), PurposeTaken)
    for purpose, title in (("Bad Id", "x"), ("ok", ""), ("ok", "two\nlines"), ("ok", "x" * 201)):
        wrong = purposes_pb2.AddPurposeRequest(id=purpose, title=title)
        assert isinstance(error_of(partial(add, wrong)), RequestInvalid)
    listed_purposes = plane.user("ana").purposes.ListPurposes(purposes_pb2.ListPurposesRequest())
    assert "care" in [purpose.id for purpose in listed_purposes.purposes]


def test_who_may_add_a_purpose_is_policy(plane: Plane) -> None:
    request = purposes_pb2.AddPurposeRequest(id="mine", title="Mine")
    ana = plane.user("ana", duties=("owner:bookings",))
    assert isinstance(error_of(lambda: ana.purposes.AddPurpose(request)), DutyMissing)
    steward = plane.user("sam", duties=("steward:bookings",))
    assert steward.purposes.AddPurpose(request).created
