"""What DecisionService tells of a read: nothing beyond the lease, and by the revision asked for."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from domain_agent.decisions import DecisionsService
from domain_agent.flight.calls import caller_of
from domain_agent.flight.shares import Shares
from domain_agent.server import AgentServer
from mesh.contracts.values import Classification
from mesh.errors import AgentBehind, AgentLeaseExpired, RequestInvalid
from mesh.v1 import decisions_pb2, decisions_pb2_grpc
from tests.unit.flight import wire
from tests.unit.flight.serving import SETTINGS, Checker, token
from tests.unit.reads.test_governed import PRODUCT, Scene
from tests.unit.snapshot.scenes import LEASES, NOW

each_class = pytest.mark.parametrize("classification", list(Classification))


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def stub(scene: Scene) -> Iterator[decisions_pb2_grpc.DecisionServiceStub]:
    checker = Checker()
    parts: Any = scene.parts
    places = Shares(6, "decisions")
    service = DecisionsService(scene.holder, parts, checker, scene.clock.now, places)
    server = AgentServer(SETTINGS, [service], lambda sent: caller_of(sent, checker), time.monotonic)
    server.start()
    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            yield decisions_pb2_grpc.DecisionServiceStub(channel)
    finally:
        server.stop(grace=0)


def ask(
    stub: decisions_pb2_grpc.DecisionServiceStub, dataset: str, revision: str = ""
) -> decisions_pb2.DecideResponse:
    request = decisions_pb2.DecideRequest(
        product=PRODUCT.product, dataset=dataset, purpose="crew-planning"
    )
    least = (("x-mesh-revision", revision),) if revision else ()
    metadata = (("authorization", f"Bearer {token('ana')}"), *least)
    return stub.Decide(request, metadata=metadata, timeout=20)


@each_class
def test_a_decision_is_good_no_longer_than_the_lease_or_the_token(
    scene: Scene, stub: decisions_pb2_grpc.DecisionServiceStub, classification: Classification
) -> None:
    answer = ask(stub, classification.value)
    assert answer.allow
    assert answer.valid_until_time.ToDatetime(UTC) == NOW + LEASES[classification]
    scene.clock.wall = datetime.now(UTC)
    scene.renew()
    until = ask(stub, classification.value).valid_until_time.ToDatetime(UTC)
    hour = timedelta(hours=1, minutes=2)  # the token's, with the leeway
    assert until <= min(scene.clock.wall + LEASES[classification], datetime.now(UTC) + hour)


@each_class
def test_after_the_lease_nothing_is_decided(
    scene: Scene, stub: decisions_pb2_grpc.DecisionServiceStub, classification: Classification
) -> None:
    scene.clock.advance(LEASES[classification])
    error = wire.refusal(lambda: ask(stub, classification.value))
    assert isinstance(error, AgentLeaseExpired)
    assert error.metadata["classification"] == classification.value
    assert scene.parts.decided == 0


def test_what_the_policy_says_ends_before_the_lease(
    scene: Scene, stub: decisions_pb2_grpc.DecisionServiceStub
) -> None:
    scene.parts.until = NOW + timedelta(seconds=7)
    assert ask(stub, "public").valid_until_time.ToDatetime(UTC) == scene.parts.until


def test_a_decision_waits_for_the_revision_that_is_named(
    scene: Scene, stub: decisions_pb2_grpc.DecisionServiceStub
) -> None:
    scene.holder.when_behind(scene.install)
    assert ask(stub, "public", "9").allow
    assert scene.holder.current().revision == 9
    scene.holder.when_behind(lambda revision: None)
    error = wire.refusal(lambda: ask(stub, "public", "10"))
    assert isinstance(error, AgentBehind)
    assert error.metadata == {"revision": "9", "wanted": "10"}
    assert isinstance(wire.refusal(lambda: ask(stub, "public", "ten")), RequestInvalid)
