"""Erasure over real gRPC: names go, keys go, logs stay, and agents confirm."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from mesh.errors import ErasureOpen, MeshError, RequestInvalid
from mesh.evidence.codec import encode_event
from mesh.v1 import agreements_pb2, audit_pb2, contracts_pb2, erasures_pb2
from mesh.wire.events import event_from_proto
from tests.integration.test_control_plane_audit import append, entries, event
from tests.unit.control_plane.documents import contract
from tests.unit.control_plane.running import Client, Plane, error_of, eventually, running
from tests.unit.control_plane.sealing import key_of, wrapped_keys

NAME = "ana.unmistakable"
PRINCIPAL = f"user:{NAME}"
AGENT = "bookings/bookings-1"


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with running(tmp_path / "state") as plane:
        yield plane


def erase(client: Client, principal: str = PRINCIPAL, reason: str = "request 17") -> str:
    request = erasures_pb2.ErasePrincipalRequest(principal=principal, reason=reason)
    return client.erasures.ErasePrincipal(request).erasure.id


def report(agent: Client, **said: object) -> audit_pb2.ReportEvidenceResponse:
    return agent.audit.ReportEvidence(audit_pb2.ReportEvidenceRequest(**said))  # type: ignore[arg-type]


def keys(plane: Plane, name: str = NAME) -> list[audit_pb2.WrappedKey]:
    return wrapped_keys(plane.state, AGENT, [name])


def receipt(client: Client, id_: str) -> audit_pb2.Receipt:
    return client.audit.GetReceipt(audit_pb2.GetReceiptRequest(id=id_)).receipt


def erasures(client: Client) -> list[erasures_pb2.Erasure]:
    return list(client.erasures.ListErasures(erasures_pb2.ListErasuresRequest()).erasures)


def names_on_disk(plane: Plane) -> bool:
    return any(NAME.encode() in path.read_bytes() for path in plane.state.glob("control.db*"))


def test_a_read_whose_key_comes_later_gets_its_name_then(plane: Plane) -> None:
    agent = plane.agent()
    append(agent, event(1, user=NAME), event(2, "completed", f"{AGENT}-1", rows=3))
    assert [entry.actor for entry in entries(plane.admin, kind="read")] == [""]
    assert not receipt(plane.admin, f"{AGENT}-1").events[0].personal
    assert list(report(agent, keys=keys(plane)).kept) == [key_of(AGENT, NAME).id]
    (entry,) = entries(plane.admin, kind="read")
    assert (entry.actor, entry.action) == (PRINCIPAL, "read.completed")
    assert NAME.encode() in receipt(plane.admin, f"{AGENT}-1").events[0].personal


def test_an_erased_person_is_nowhere_and_the_log_is_as_it_was(plane: Plane) -> None:
    agent = plane.agent()
    report(agent, keys=keys(plane))
    append(agent, event(1, user=NAME), event(2, user="bob"))
    before = receipt(plane.admin, f"{AGENT}-1").events[0]
    assert names_on_disk(plane)

    id_ = erase(plane.admin)
    assert {entry.actor for entry in entries(plane.admin, kind="read")} == {"erased", "user:bob"}
    after = receipt(plane.admin, f"{AGENT}-1").events[0]
    assert not after.personal
    assert encode_event(event_from_proto(after)) == encode_event(event_from_proto(before))
    assert receipt(plane.admin, f"{AGENT}-2").events[0].personal

    asked = report(agent)
    assert [(one.id, one.principal) for one in asked.erasures] == [(id_, PRINCIPAL)]
    assert erasures(plane.admin)[0].waiting == [AGENT]
    assert not report(agent, erased=[id_]).erasures
    (done,) = erasures(plane.admin)
    assert (done.id, list(done.waiting), done.keys) == (id_, [], 1)
    assert done.HasField("complete_time")
    eventually(lambda: not names_on_disk(plane))


def test_a_key_on_its_way_is_not_kept_while_its_owner_is_being_erased(plane: Plane) -> None:
    agent = plane.agent()
    append(agent, event(1, user=NAME))
    id_ = erase(plane.admin)
    assert not report(agent, keys=keys(plane)).kept
    assert [entry.actor for entry in entries(plane.admin, kind="read")] == [""]
    report(agent, erased=[id_])
    assert list(report(agent, keys=keys(plane)).kept) == [key_of(AGENT, NAME).id]


def test_an_agent_confirms_for_itself_only(plane: Plane) -> None:
    agent, other = plane.agent(), plane.agent("fleet", "fleet-1")
    id_ = erase(plane.admin)
    report(other, erased=[id_, "unknown"])
    assert erasures(plane.admin)[0].waiting == [AGENT]
    report(agent, erased=[id_])
    assert not erasures(plane.admin)[0].waiting


def test_a_wrapped_key_of_another_agent_or_name_is_not_kept(plane: Plane) -> None:
    agent = plane.agent()
    (stolen,) = wrapped_keys(plane.state, "fleet/fleet-1", ["ana"])
    (renamed,) = keys(plane)
    renamed.id = "key-other"
    broken = audit_pb2.WrappedKey(id="key-broken", wrapped=b"x")
    assert not report(agent, keys=[stolen, renamed, broken]).kept


def test_whoever_still_may_read_is_not_erased(plane: Plane) -> None:
    plane.agent()
    olga = plane.user("olga", duties=("owner:bookings",))
    plane.purpose()
    publishing = contracts_pb2.PublishContractRequest(document=contract())
    olga.contracts.PublishContract(publishing)
    ana = plane.user("ana")
    request = agreements_pb2.RequestAgreementRequest(
        domain="bookings",
        product="reservations",
        role="analyst",
        purpose="crew-planning",
        justification="ana asks for herself",
    )
    asked = ana.agreements.RequestAgreement(request).agreement
    refused = error_of(lambda: erase(plane.admin, "user:ana"))
    assert isinstance(refused, ErasureOpen)
    ana.agreements.CancelAgreement(agreements_pb2.CancelAgreementRequest(id=asked.id))
    erase(plane.admin, "user:ana")
    shown = olga.agreements.GetAgreement(agreements_pb2.GetAgreementRequest(id=asked.id)).agreement
    assert (shown.consumer, shown.requester, shown.justification) == ("erased", "erased", "")
    told = entries(plane.admin, kind="change")
    assert not [one for one in told if "user:ana" in f"{one.actor} {one.summary}"]


@pytest.mark.parametrize(
    ("principal", "reason"),
    [
        ("ana", "request 17"),
        ("team:ops", "request 17"),
        ("agent:bookings/bookings-1", "request 17"),
        ("user:", "request 17"),
        (PRINCIPAL, ""),
        (PRINCIPAL, f"for {NAME.upper()}"),
        (PRINCIPAL, "x" * 501),
        (PRINCIPAL, "two\nlines"),
    ],
)
def test_an_erasure_that_names_nobody_or_says_who_is_refused(
    plane: Plane, principal: str, reason: str
) -> None:
    refused: MeshError = error_of(lambda: erase(plane.admin, principal, reason))
    assert isinstance(refused, RequestInvalid)
    assert not erasures(plane.admin)
