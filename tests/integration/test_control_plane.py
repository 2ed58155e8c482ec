"""The control plane's main line, over real gRPC."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.snapshots.entries import entries_digest
from mesh.snapshots.envelope import verify
from mesh.v1 import agents_pb2, agreements_pb2, audit_pb2, contracts_pb2
from mesh.wire.snapshots import entries_from_proto, envelope_from_proto
from mesh.wire.times import to_timestamp
from tests.unit.control_plane.documents import contract
from tests.unit.control_plane.running import Plane, enrol, running
from tests.unit.control_plane.sealing import sealed
from tests.unit.control_plane.streams import SyncStream


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with running(tmp_path / "state") as plane:
        yield plane


def test_from_a_published_contract_to_a_read_in_the_audit(plane: Plane) -> None:
    plane.purpose()
    agent = plane.agent()
    published = agent.contracts.PublishContract(
        contracts_pb2.PublishContractRequest(document=contract())
    )
    assert published.created

    stream = SyncStream(agent)
    response = next(stream.call)
    keys = enrol(plane, "bookings", "bookings-2", Ed25519PrivateKey.generate()).keys
    trusted = {key.id: key.public_key for key in keys if key.use == "snapshot"}
    payload = agents_pb2.SyncPayload.FromString(
        verify(envelope_from_proto(response.signed), trusted)
    )
    entries: dict[str, bytes] = {}
    for _ in range(payload.snapshot.parts):
        entries |= entries_from_proto(next(stream.call).part.entries)
    assert entries_digest(entries) == payload.snapshot.digest
    assert entries["contract/reservations/1.0.0"] == contract()
    assert "purpose/crew-planning" in entries
    assert "policy/library/access.rego" in entries
    stream.acknowledge(payload.revision, payload.snapshot.digest)

    ana, olga = plane.user("ana"), plane.user("olga", duties=("owner:bookings",))
    asked = ana.agreements.RequestAgreement(
        agreements_pb2.RequestAgreementRequest(
            domain="bookings",
            product="reservations",
            role="analyst",
            purpose="crew-planning",
            justification="plan crews",
        )
    ).agreement
    assert list(asked.approvers) == ["olga"]
    approved = olga.agreements.ApproveAgreement(
        agreements_pb2.ApproveAgreementRequest(id=asked.id)
    ).agreement
    assert approved.state == agreements_pb2.AGREEMENT_STATE_ACTIVE

    delta = stream.payload()
    assert delta.revision == approved.revision
    assert [entry.key for entry in delta.delta.upserts] == [f"agreement/{asked.id}"]
    entries |= entries_from_proto(delta.delta.upserts)
    assert entries_digest(entries) == delta.delta.digest
    stream.acknowledge(delta.revision, delta.delta.digest)

    data = {
        "statement": "SELECT id FROM passengers",
        "purpose": "crew-planning",
        "decisions": [
            {"product": "bookings.reservations", "dataset": "passengers", "agreement": asked.id}
        ],
    }
    event = audit_pb2.UsageEvent(
        id="r1",
        source="/agents/bookings/bookings-1",
        type="io.meshwarden.read.started.v1",
        time=to_timestamp(datetime.now(UTC)),
        sequence=1,
        receipt="r1",
        data=sealed("r1", "bookings/bookings-1", "ana", data),
    )
    stored = agent.audit.AppendEvents(audit_pb2.AppendEventsRequest(events=[event]))
    assert stored.stored_sequence == 1
    entries_listed = ana.audit.ListEntries(audit_pb2.ListEntriesRequest(kind="read")).entries
    assert [(entry.action, entry.actor) for entry in entries_listed] == [
        ("read.started", "user:ana")
    ]
    shown = ana.agreements.GetAgreement(agreements_pb2.GetAgreementRequest(id=asked.id)).agreement
    assert shown.HasField("first_read_time")
    stream.leave()
