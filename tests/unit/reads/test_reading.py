"""A reading hands out what is still allowed, and ends exactly once with its evidence."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from domain_agent.flight.ports import ReadContext
from domain_agent.reads.reading import GovernedReading
from domain_agent.reads.receipts import Statement
from domain_agent.worker.running import Batch
from mesh.errors import EvidenceUnavailable, StatementFailed, StatementRevoked
from mesh.evidence.events import EventType, UsageEvent
from mesh.identity.principal import Caller, Principal, PrincipalKind
from tests.unit.reads.recording import Recording, recording
from tests.unit.snapshot.scenes import NOW, SetClock

ANA = Caller(Principal(PrincipalKind.USER, "ana"), "mesh:domain:bookings", "t", NOW)


@dataclass
class Running:
    """What a worker would send: batches of some rows, then maybe a failure."""

    rows: list[int]
    failure: Exception | None = None
    schema: bytes = b"schema"
    closed: int = 0

    def __iter__(self) -> Iterator[Batch]:
        for rows in self.rows:
            yield Batch(b"header", memoryview(b"x" * 10 * rows), rows)
        if self.failure is not None:
            raise self.failure

    def close(self) -> None:
        self.closed += 1


@dataclass
class Scene:
    """A reading over a real spool."""

    folder: Path
    running: Running
    revoke_after: int | None = None
    batches: int = 0
    released: threading.Event = field(default_factory=threading.Event)
    recording: Recording = field(init=False)
    reading: GovernedReading = field(init=False)

    def __post_init__(self) -> None:
        self.recording = recording(self.folder, lambda: NOW)
        receipts = self.recording.receipts
        context = ReadContext(ANA, "crew-planning", frozenset(), "ipv4:127.0.0.1:1")
        receipt = receipts.started(Statement("SELECT $1", context))
        self.reading = GovernedReading(
            self.running,  # type: ignore[arg-type]
            receipt,
            receipts,
            self.guard,
            self.released.set,
            SetClock(),
        )

    def guard(self) -> None:
        self.batches += 1
        if self.revoke_after is not None and self.batches > self.revoke_after:
            raise StatementRevoked("it was revoked")

    def events(self) -> list[UsageEvent]:
        return self.recording.reads()


def test_a_read_to_the_end_is_completed_with_its_totals(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Running([3, 4]))
    assert [batch.rows for batch in scene.reading] == [3, 4]
    scene.reading.close(None)
    started, end = scene.events()
    assert (started.type, end.type) == (EventType.STARTED, EventType.COMPLETED)
    assert end.receipt == started.id == scene.reading.receipt
    assert {**end.data, "salt": None} == {"rows": 7, "bytes": 70, "duration_ms": 0, "salt": None}
    assert scene.running.closed == 1
    assert scene.released.is_set()


def test_a_second_close_changes_nothing(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Running([1]))
    scene.reading.close("client_left")
    scene.reading.close(None)
    assert [event.type.state for event in scene.events()] == ["started", "aborted"]


def test_what_comes_after_the_end_was_recorded_is_not_handed_out(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Running([3, 4, 5]))
    batches = iter(scene.reading)
    assert next(batches).rows == 3
    scene.reading.close("cancelled")
    assert list(batches) == []
    end = scene.events()[-1]
    assert (end.data["rows"], end.data["reason"]) == (3, "cancelled")


def test_a_revocation_stops_before_the_next_batch(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Running([3, 4, 5]), revoke_after=1)
    handed: list[int] = []
    with pytest.raises(StatementRevoked):
        handed.extend(batch.rows for batch in scene.reading)
    end = scene.events()[-1]
    assert end.type is EventType.ABORTED
    assert (end.data["rows"], end.data["reason"]) == (3, "statement.revoked")


def test_a_failing_statement_is_aborted_with_its_reason(tmp_path: Path) -> None:
    scene = Scene(tmp_path, Running([2], StatementFailed("it failed")))
    with pytest.raises(StatementFailed):
        list(scene.reading)
    assert scene.events()[-1].data["reason"] == "statement.failed"


def test_an_end_that_cannot_be_recorded_is_recorded_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scene = Scene(tmp_path, Running([2]))

    def full(_: object) -> UsageEvent:
        raise EvidenceUnavailable("the disk is full")

    monkeypatch.setattr(scene.recording.spool, "append", full)
    scene.reading.close(None)
    assert "can't be recorded" in caplog.text
    again = recording(tmp_path, lambda: NOW)
    assert again.spool.unfinished() == [scene.reading.receipt]
    again.receipts.abort_unfinished(again.spool.unfinished())
    end = again.reads()[-1]
    assert (end.type, end.data["reason"]) == (EventType.ABORTED, "agent.restarted")
    assert end.data["rows"] is None
