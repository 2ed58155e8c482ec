"""What is in force: for whom it is fresh enough, and how a read waits until it is."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from domain_agent.snapshot import holder as holding
from domain_agent.snapshot.holder import SnapshotHolder
from domain_agent.snapshot.lease import Lease
from domain_agent.snapshot.receiver import Receiver
from domain_agent.snapshot.store import SnapshotStore
from domain_agent.spool.files import Files
from mesh.contracts.values import Classification
from mesh.errors import AgentBehind, AgentLeaseExpired, AgentNotReady
from mesh.v1 import agents_pb2
from tests.unit.snapshot.scenes import DOMAIN, LEASES, SetClock, Signer, entries


@dataclass
class Scene:
    """A holder, and the control plane that it hears from."""

    folder: Path
    signer: Signer = field(default_factory=Signer)
    clock: SetClock = field(default_factory=SetClock)
    asked: list[int] = field(default_factory=list)
    held: SnapshotHolder = field(init=False)
    receiver: Receiver = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        files = Files()
        lease = Lease(self.clock, self.folder / "time", files)
        store = SnapshotStore(self.folder / "snapshot", files)
        self.held = SnapshotHolder(store, lease, lambda snapshot: None)
        self.held.when_behind(self.asked.append)
        self.receiver = Receiver(DOMAIN, self.signer.keys, 0)

    def hear(self, *messages: agents_pb2.SyncResponse) -> None:
        for message in messages:
            received = self.receiver.feed(message)
            if received is not None:
                self.held.install(received)

    def renewal(self, revision: int, complete: int) -> agents_pb2.SyncResponse:
        payload = self.signer.payload(revision, self.clock.wall)
        payload.complete_revision = complete
        return self.signer.signed(payload)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "BEHIND_SECONDS", 0.05)


def test_without_a_snapshot_nobody_waits(scene: Scene) -> None:
    with pytest.raises(AgentNotReady):
        scene.held.current(7)
    assert scene.asked == []


def test_a_revision_that_is_known_needs_no_wait(scene: Scene) -> None:
    scene.hear(*scene.signer.snapshot(7, entries()))
    assert [scene.held.current(least).revision for least in (0, 6, 7)] == [7, 7, 7]
    assert scene.asked == []


@pytest.mark.usefixtures("impatient")
def test_a_revision_that_does_not_come_is_refused_with_both(scene: Scene) -> None:
    scene.hear(*scene.signer.snapshot(7, entries()))
    with pytest.raises(AgentBehind) as refused:
        scene.held.current(8)
    assert refused.value.metadata == {"revision": "7", "wanted": "8"}
    assert scene.asked == [8]


def test_who_waits_is_woken_by_the_snapshot_and_reads_by_it(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(holding, "BEHIND_SECONDS", 30)
    old, new = entries(a="1"), entries(a="2")
    scene.hear(*scene.signer.snapshot(7, old))
    waiting = threading.Event()
    scene.held.when_behind(lambda revision: waiting.set())
    with ThreadPoolExecutor(1) as pool:
        read = pool.submit(scene.held.current, 9)
        assert waiting.wait(10)
        scene.hear(scene.signer.delta(7, 9, old, new))
        assert read.result(10).revision == 9


def test_a_change_that_concerns_others_is_known_by_its_number_alone(scene: Scene) -> None:
    scene.hear(*scene.signer.snapshot(7, entries()))
    scene.held.when_behind(lambda revision: scene.hear(scene.renewal(7, revision)))
    assert scene.held.current(12).revision == 7


@pytest.mark.usefixtures("impatient")
def test_what_is_known_is_never_less_than_before(scene: Scene) -> None:
    scene.hear(*scene.signer.snapshot(7, entries()), scene.renewal(7, 12), scene.renewal(7, 9))
    assert scene.held.current(12).revision == 7
    with pytest.raises(AgentBehind):
        scene.held.current(13)


@pytest.mark.usefixtures("impatient")
def test_after_a_restart_it_knows_what_was_signed_for_what_it_kept(scene: Scene) -> None:
    scene.hear(*scene.signer.snapshot(7, entries()), scene.renewal(7, 12))
    scene.restart()
    scene.held.restore(Receiver(DOMAIN, scene.signer.keys, 0))
    assert scene.held.current(12).revision == 7
    with pytest.raises(AgentBehind):
        scene.held.current(13)


def test_at_the_end_of_the_mildest_lease_nobody_waits(scene: Scene) -> None:
    scene.hear(*scene.signer.snapshot(7, entries()))
    scene.clock.advance(LEASES[Classification.INTERNAL])
    assert scene.held.current().revision == 7
    scene.clock.advance(LEASES[Classification.PUBLIC])
    for least in (0, 8):
        with pytest.raises(AgentLeaseExpired) as refused:
            scene.held.current(least)
        assert refused.value.metadata["classification"] == "public"
    assert scene.asked == []


def test_a_lease_that_ends_while_a_read_waits_refuses_it(scene: Scene) -> None:
    scene.hear(*scene.signer.snapshot(7, entries()))
    late = scene.renewal(7, 8)

    def arrives(_: int) -> None:
        scene.hear(late)
        scene.clock.advance(LEASES[Classification.PUBLIC] + timedelta(seconds=1))

    scene.held.when_behind(arrives)
    with pytest.raises(AgentLeaseExpired):
        scene.held.current(8)
