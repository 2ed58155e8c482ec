"""The spool: durable or refused, in order, across restarts, faults and damage."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain_agent.spool.files import Files
from domain_agent.spool.segments import SpoolDamaged
from domain_agent.spool.spool import Spool, SpoolLimits
from mesh.errors import EvidenceUnavailable
from mesh.evidence.events import EventType, UsageEvent
from tests.unit.spool.faults import FailingFiles

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMALL = SpoolLimits(segment=1_000)


def numbered(name: str, kind: EventType = EventType.REFUSED) -> Callable[[int], UsageEvent]:
    return lambda sequence: UsageEvent(
        f"{name}-{kind.state}", "/agents/bookings/one", kind, NOW, sequence, name, {"n": name}
    )


def spool(folder: Path, files: Files | None = None, limits: SpoolLimits = SMALL) -> Spool:
    return Spool(folder / "spool", files or Files(), limits)


def everything(opened: Spool) -> list[UsageEvent]:
    events: list[UsageEvent] = []
    while batch := opened.read_after(events[-1].sequence if events else 0, 300):
        events.extend(batch)
    return events


def test_events_survive_a_restart_in_order(tmp_path: Path) -> None:
    first = spool(tmp_path)
    written = [first.append(numbered(str(n))) for n in range(40)]
    assert [event.sequence for event in written] == list(range(1, 41))
    again = spool(tmp_path)
    assert everything(again) == written
    assert again.append(numbered("next")).sequence == 41


def test_many_threads_get_gapless_sequences(tmp_path: Path) -> None:
    shared = spool(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        written = list(pool.map(lambda n: shared.append(numbered(str(n))), range(400)))
    assert sorted(event.sequence for event in written) == list(range(1, 401))
    assert everything(spool(tmp_path)) == sorted(written, key=lambda event: event.sequence)


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["write", "sync", "create", "truncate"]),
    nth=st.integers(1, 12),
    times=st.integers(1, 4),
    torn=st.integers(0, 120),
)
def test_a_failing_disk_refuses_and_loses_nothing_acknowledged(
    tmp_path_factory: pytest.TempPathFactory, kind: str, nth: int, times: int, torn: int
) -> None:
    folder = tmp_path_factory.mktemp("faults")
    faulty = spool(folder, FailingFiles(kind, nth, times, torn))
    written, refused = [], 0
    for number in range(20):
        try:
            written.append(faulty.append(numbered(str(number))))
        except EvidenceUnavailable:
            refused += 1
    assert everything(faulty) == written
    recovered = spool(folder)
    assert everything(recovered) == written
    assert recovered.append(numbered("after")).sequence == len(written) + 1
    assert refused <= times * 2


def test_a_full_quota_refuses_new_reads_but_not_the_ends_of_running_ones(tmp_path: Path) -> None:
    full = spool(tmp_path, limits=SpoolLimits(quota=600, reserve=10_000, segment=300))
    started = [full.append(numbered("a", EventType.STARTED))]
    with pytest.raises(EvidenceUnavailable, match="quota"):
        for number in range(20):
            started.append(full.append(numbered(str(number), EventType.STARTED)))
    end = full.append(numbered("a", EventType.COMPLETED))
    full.acknowledge(end.sequence)
    for event in started:
        full.append(numbered(event.receipt, EventType.ABORTED))
    full.acknowledge(full.append(numbered("last", EventType.ABORTED)).sequence)
    assert full.append(numbered("room again", EventType.STARTED)).sequence > end.sequence


def test_unfinished_reads_are_known_after_a_restart_even_when_acknowledged(tmp_path: Path) -> None:
    first = spool(tmp_path)
    started = first.append(numbered("open", EventType.STARTED))
    for number in range(30):
        first.append(numbered(str(number)))
    first.acknowledge(31)
    again = spool(tmp_path)
    assert again.unfinished() == [started]
    again.append(numbered("open", EventType.ABORTED))
    assert again.unfinished() == []
    assert spool(tmp_path).unfinished() == []


def test_acknowledged_segments_are_pruned_and_numbering_goes_on(tmp_path: Path) -> None:
    first = spool(tmp_path)
    for number in range(30):
        first.append(numbered(str(number)))
    before = len(list((tmp_path / "spool").glob("*.log")))
    first.acknowledge(30)
    assert len(list((tmp_path / "spool").glob("*.log"))) == 1 < before
    assert first.backlog == 0
    again = spool(tmp_path)
    assert again.read_after(again.acknowledged, 10_000)[-1].sequence == 30
    assert 0 < again.backlog < 10
    assert again.append(numbered("next")).sequence == 31


def test_a_torn_write_is_cut_kept_aside_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = spool(tmp_path, limits=SpoolLimits())
    written = [first.append(numbered(str(n))) for n in range(3)]
    (path,) = (tmp_path / "spool").glob("*.log")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:37])
    assert everything(spool(tmp_path)) == written
    assert path.with_suffix(".torn").read_bytes() == whole[:37]
    assert "torn write" in caplog.text


def test_a_flipped_bit_stops_the_agent_instead_of_skipping_evidence(tmp_path: Path) -> None:
    first = spool(tmp_path, limits=SpoolLimits())
    for number in range(5):
        first.append(numbered(str(number)))
    (path,) = (tmp_path / "spool").glob("*.log")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(SpoolDamaged, match="event 3"):
        spool(tmp_path)


def test_a_missing_segment_is_found(tmp_path: Path) -> None:
    first = spool(tmp_path)
    for number in range(30):
        first.append(numbered(str(number)))
    sorted((tmp_path / "spool").glob("*.log"))[1].unlink()
    with pytest.raises(SpoolDamaged, match="missing"):
        spool(tmp_path)
