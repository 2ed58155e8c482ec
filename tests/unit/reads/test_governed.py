"""A read lasts no longer than the lease for the strictest column of what it reads."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from domain_agent.enforcement.gate import DatasetName
from domain_agent.enforcement.plan import Plan
from domain_agent.flight.ports import ReadContext
from domain_agent.flight.shares import Shares
from domain_agent.reads.deciding import DatasetDecision
from domain_agent.reads.governed import GovernedReads
from domain_agent.reads.grouping import GroupedStatements
from domain_agent.reads.statements import CheckedSql
from domain_agent.snapshot.holder import SnapshotHolder
from domain_agent.snapshot.lease import Lease
from domain_agent.snapshot.receiver import Received, Renewal
from domain_agent.snapshot.store import SnapshotStore
from domain_agent.snapshot.values import Snapshot
from domain_agent.spool.files import Files
from domain_agent.worker.running import Batch
from mesh.contracts.values import Classification, Column, Dataset
from mesh.decisions.deciding import Decided
from mesh.decisions.policy import Policy
from mesh.decisions.values import Decision
from mesh.errors import AgentBehind, AgentLeaseExpired
from mesh.evidence.events import UsageEvent
from mesh.identity.principal import Caller, Principal, PrincipalKind
from mesh.v1 import agents_pb2
from tests.bench.decided import CONTRACT, asked
from tests.unit.reads.recording import Recording, recording
from tests.unit.snapshot.scenes import LEASES, NOW, SetClock

ANA = Caller(Principal(PrincipalKind.USER, "ana"), "mesh:domain:bookings", "t", NOW)
YEAR = timedelta(days=365)


def dataset(classification: Classification) -> Dataset:
    """A dataset named by its strictest column's class, with one of every milder class beside it."""
    order = list(Classification)
    milder = order[: order.index(classification) + 1]
    columns = tuple(Column(one.value, "string", None, one) for one in milder)
    return Dataset(classification.value, "x.parquet", columns)


PRODUCT = replace(CONTRACT, datasets=tuple(map(dataset, Classification)))


def snapshot(revision: int) -> Snapshot:
    contracts = {PRODUCT.product: PRODUCT}
    purposes, policy = frozenset({"crew-planning"}), Policy({})
    return Snapshot(revision, b"digest", {}, contracts, (), purposes, policy, ())


@dataclass
class Parts:
    """What a read goes through beside the lease: it allows, and the policy may set an end."""

    until: datetime | None = None
    decided: int = 0

    def check(self, sql: str, _: Snapshot) -> CheckedSql:
        names = tuple(DatasetName(PRODUCT.product, name) for name in sql.split())
        return CheckedSql(sql, names, "SELECT", b"")

    def decide(self, *given: Any) -> DatasetDecision:
        self.decided += 1
        made = asked(1)
        decided = Decided(Decision(allow=True, valid_until=self.until), made.document, "", False)
        return DatasetDecision(CONTRACT, CONTRACT.datasets[0], None, made, decided)

    def plan(self, _: Sequence[DatasetDecision]) -> Plan:
        return Plan("bookings", (), ())

    def describe(self, *given: object) -> bytes:
        return b"schema"

    def run(self, *given: object) -> "Parts":
        return self

    schema = b"schema"

    def __iter__(self) -> Iterator[Batch]:
        while True:
            yield Batch(b"header", memoryview(b"x"), 1)

    def close(self) -> None:
        """Nothing is held."""


@dataclass
class Scene:
    """Governed reads over a real holder, with real evidence."""

    folder: Path
    parts: Parts = field(default_factory=Parts)
    clock: SetClock = field(default_factory=SetClock)
    holder: SnapshotHolder = field(init=False)
    evidence: Recording = field(init=False)
    reads: GovernedReads = field(init=False)

    def __post_init__(self) -> None:
        store = SnapshotStore(self.folder / "snapshot", Files())
        lease = Lease(self.clock, self.folder / "time", Files())
        self.holder = SnapshotHolder(store, lease, lambda found: None)
        self.evidence = recording(self.folder, self.clock.now)
        parts: Any = self.parts
        self.reads = GovernedReads(
            holder=self.holder,
            statements=parts,
            grouped=GroupedStatements(PRODUCT.domain, parts),
            decider=parts,
            planner=parts,
            receipts=self.evidence.receipts,
            pool=parts,
            clock=self.clock,
            statement_seconds=60.0,
            shares=Shares(4, "statements"),
        )
        self.install(7)

    def install(self, revision: int) -> None:
        renewal = Renewal(self.clock.wall, LEASES, revision)
        stored = agents_pb2.StoredSnapshot()
        self.holder.install(Received(renewal, snapshot(revision), stored))

    def renew(self) -> None:
        stored = agents_pb2.StoredSnapshot()
        self.holder.install(Received(Renewal(self.clock.wall, LEASES, 7), None, stored))

    def read(self, sql: str, revision: int = 0) -> Iterator[int]:
        caller = replace(ANA, expires=self.clock.wall + YEAR)
        context = ReadContext(caller, "crew-planning", frozenset(), "ipv4:127.0.0.1:1", revision)
        reading = self.reads.open(context, self.reads.prepare(context, sql), None)
        return (batch.rows for batch in reading)

    def events(self) -> list[UsageEvent]:
        return self.evidence.reads()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


each_class = pytest.mark.parametrize("classification", list(Classification))


@each_class
def test_each_dataset_is_served_until_the_lease_for_its_strictest_column_ends(
    scene: Scene, classification: Classification
) -> None:
    scene.clock.advance(LEASES[classification] - timedelta(seconds=1))
    assert next(scene.read(classification.value)) == 1
    scene.clock.advance(timedelta(seconds=1))
    with pytest.raises(AgentLeaseExpired) as refused:
        scene.read(classification.value)
    assert refused.value.metadata["classification"] == classification.value
    assert refused.value.metadata["receipt"]
    refusal = scene.events()[-1]
    assert refusal.type.state == "refused"
    assert refusal.data["reasons"] == ["agent.lease_expired"]


def test_a_statement_over_several_is_as_strict_as_the_strictest(scene: Scene) -> None:
    scene.clock.advance(LEASES[Classification.RESTRICTED])
    assert next(scene.read("public confidential")) == 1
    with pytest.raises(AgentLeaseExpired):
        scene.read("public restricted")


def test_a_dataset_that_is_not_there_counts_as_restricted(scene: Scene) -> None:
    scene.clock.advance(LEASES[Classification.RESTRICTED])
    with pytest.raises(AgentLeaseExpired):
        scene.read("unheard_of")


@each_class
def test_a_running_stream_ends_at_the_batch_after_its_lease(
    scene: Scene, classification: Classification
) -> None:
    batches = scene.read(classification.value)
    scene.clock.advance(LEASES[classification] - timedelta(seconds=1))
    assert [next(batches), next(batches)] == [1, 1]
    scene.clock.advance(timedelta(seconds=1))
    with pytest.raises(AgentLeaseExpired):
        next(batches)
    end = scene.events()[-1]
    assert (end.type.state, end.data["reason"]) == ("aborted", "agent.lease_expired")
    assert end.data["rows"] == 2


@each_class
def test_a_decision_is_made_anew_when_the_lease_it_was_made_under_is_over(
    scene: Scene, classification: Classification
) -> None:
    batches = scene.read(classification.value)
    next(batches)
    made = scene.parts.decided
    scene.clock.advance(LEASES[classification] - timedelta(seconds=1))
    scene.renew()
    next(batches)
    assert scene.parts.decided == made
    scene.clock.advance(timedelta(seconds=1))
    next(batches)
    assert scene.parts.decided == made + 1


def test_a_wall_clock_that_is_ahead_ends_no_lease(scene: Scene) -> None:
    scene.clock.wall += timedelta(days=30)
    assert next(scene.read("restricted")) == 1


def test_what_the_policy_says_ends_before_the_lease(scene: Scene) -> None:
    scene.parts.until = NOW + timedelta(seconds=10)
    batches = scene.read("public")
    next(batches)
    made = scene.parts.decided
    scene.parts.until = None
    scene.clock.advance(timedelta(seconds=10))
    next(batches)
    assert scene.parts.decided == made + 1


def test_the_catalogue_is_shown_until_the_mildest_lease_ends(scene: Scene) -> None:
    context = ReadContext(ANA, "crew-planning", frozenset(), "ipv4:127.0.0.1:1")
    scene.clock.advance(LEASES[Classification.PUBLIC] - timedelta(seconds=1))
    assert {table.name for table in scene.reads.tables(context)} == set(Classification)
    scene.clock.advance(timedelta(seconds=1))
    with pytest.raises(AgentLeaseExpired):
        scene.reads.tables(context)


def test_a_read_waits_for_the_revision_that_it_names(scene: Scene) -> None:
    scene.holder.when_behind(
        lambda revision: threading.Thread(target=scene.install, args=(9,)).start()
    )
    assert next(scene.read("public", revision=9)) == 1
    assert scene.events()[-1].data["revision"] == 9


def test_a_read_that_the_agent_is_behind_for_is_refused_with_evidence(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("domain_agent.snapshot.holder.BEHIND_SECONDS", 0.05)
    with pytest.raises(AgentBehind) as refused:
        scene.read("public", revision=8)
    assert refused.value.metadata["wanted"] == "8"
    assert scene.events()[-1].data["reasons"] == ["agent.behind"]
