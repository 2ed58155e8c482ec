"""The spool: durable or refused, in order, across restarts, faults and damage."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain_agent.spool.files import Files
from domain_agent.spool.records import frame
from domain_agent.spool.segments import SpoolDamaged, header, segment_path
from domain_agent.spool.spool import MAX_DATA, Spool, SpoolLimits
from mesh.errors import EvidenceUnavailable
from mesh.evidence.canonical import canonical
from mesh.evidence.checkpoints import Checkpoint
from mesh.evidence.codec import Draft, decode_event, encode_event
from mesh.evidence.events import EventType, UsageEvent
from mesh.evidence.merkle import Frontier, leaf_hash
from tests.unit.spool.faults import FailingFiles

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SMALL = SpoolLimits(segment=1_000)


def draft(name: str, kind: EventType = EventType.REFUSED) -> Draft:
    return Draft(
        f"{name}-{kind.state}", "/agents/bookings/one", kind, NOW, name, canonical({"n": name})
    )


def write(log: Spool, name: str, kind: EventType = EventType.REFUSED) -> UsageEvent:
    written = draft(name, kind)
    return decode_event(written.record(log.append(written)))


def spool(
    folder: Path,
    files: Files | None = None,
    limits: SpoolLimits = SMALL,
    signed: Checkpoint | None = None,
) -> Spool:
    return Spool(folder / "spool", files or Files(), limits, signed)


def everything(opened: Spool) -> list[UsageEvent]:
    events: list[UsageEvent] = []
    while batch := opened.read_after(events[-1].sequence if events else 0, 300):
        events.extend(batch)
    return events


def test_events_survive_a_restart_in_order(tmp_path: Path) -> None:
    first = spool(tmp_path)
    written = [write(first, str(n)) for n in range(40)]
    assert [event.sequence for event in written] == list(range(1, 41))
    again = spool(tmp_path)
    assert everything(again) == written
    assert write(again, "next").sequence == 41


def test_many_threads_get_gapless_sequences(tmp_path: Path) -> None:
    shared = spool(tmp_path)
    with ThreadPoolExecutor(16) as pool:
        written = list(pool.map(lambda n: write(shared, str(n)), range(400)))
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
            written.append(write(faulty, str(number)))
        except EvidenceUnavailable:
            refused += 1
    assert everything(faulty) == written
    recovered = spool(folder)
    assert everything(recovered) == written
    assert write(recovered, "after").sequence == len(written) + 1
    assert refused <= times * 2


def test_a_full_quota_refuses_new_reads_but_not_the_ends_of_running_ones(tmp_path: Path) -> None:
    full = spool(tmp_path, limits=SpoolLimits(quota=800, reserve=10_000, segment=300))
    started = [write(full, "a", EventType.STARTED)]
    with pytest.raises(EvidenceUnavailable, match="quota"):
        for number in range(20):
            started.append(write(full, str(number), EventType.STARTED))
    end = write(full, "a", EventType.COMPLETED)
    full.acknowledge(end.sequence)
    for event in started:
        write(full, event.receipt, EventType.ABORTED)
    full.acknowledge(write(full, "last", EventType.ABORTED).sequence)
    assert write(full, "room again", EventType.STARTED).sequence > end.sequence


def test_unfinished_reads_are_known_after_a_restart_even_when_acknowledged(tmp_path: Path) -> None:
    first = spool(tmp_path)
    started = write(first, "open", EventType.STARTED)
    for number in range(30):
        write(first, str(number))
    first.acknowledge(31)
    again = spool(tmp_path)
    assert again.unfinished() == [started.receipt]
    write(again, "open", EventType.ABORTED)
    assert again.unfinished() == []
    assert spool(tmp_path).unfinished() == []


def test_acknowledged_segments_are_pruned_and_numbering_goes_on(tmp_path: Path) -> None:
    first = spool(tmp_path)
    for number in range(30):
        write(first, str(number))
    before = len(list((tmp_path / "spool").glob("*.log")))
    first.acknowledge(30)
    assert len(list((tmp_path / "spool").glob("*.log"))) == 1 < before
    assert first.backlog == 0
    again = spool(tmp_path)
    assert again.read_after(again.acknowledged, 10_000)[-1].sequence == 30
    assert 0 < again.backlog < 10
    assert write(again, "next").sequence == 31


def checkpoint(log: Spool, size: int | None = None) -> Checkpoint:
    head = log.head
    return Checkpoint("bookings", "one", size or head.size, head.root, NOW)


def test_the_tree_covers_every_record_and_goes_on_over_restarts_and_pruning(tmp_path: Path) -> None:
    written, first = [], spool(tmp_path)
    for number in range(30):
        written.append(write(first, str(number)))
    first.acknowledge(30)
    again = spool(tmp_path, signed=checkpoint(first))
    written += [write(again, str(number)) for number in range(30, 45)]
    leaves = [leaf_hash(encode_event(event)) for event in written]
    assert again.head == Frontier().extend(leaves)
    assert spool(tmp_path).head == again.head


def test_records_that_were_signed_for_and_are_gone_stop_the_agent(tmp_path: Path) -> None:
    first = spool(tmp_path, limits=SpoolLimits())
    for number in range(5):
        write(first, str(number))
    signed = checkpoint(first)
    (path,) = (tmp_path / "spool").glob("*.log")
    # Cut at the end of a record, as somebody would who wants it not to look torn.
    last = len(frame(draft("4").record(5)))
    os.truncate(path, path.stat().st_size - last)
    assert len(everything(spool(tmp_path))) == 4
    with pytest.raises(SpoolDamaged, match="evidence 5 to 5 is missing"):
        spool(tmp_path, signed=signed)
    path.unlink()
    with pytest.raises(SpoolDamaged, match="evidence 1 to 5 is missing"):
        spool(tmp_path, signed=signed)


def test_a_rewritten_log_is_not_the_one_that_was_signed(tmp_path: Path) -> None:
    first = spool(tmp_path / "a")
    other = spool(tmp_path / "b")
    for number in range(20):
        write(first, str(number))
        write(other, str(number + (number == 7)))
    spool(tmp_path / "a", signed=checkpoint(first))
    with pytest.raises(SpoolDamaged, match="not what was signed"):
        spool(tmp_path / "b", signed=checkpoint(first))


def test_evidence_that_was_sent_and_is_gone_stops_the_agent(tmp_path: Path) -> None:
    first = spool(tmp_path)
    for number in range(30):
        write(first, str(number))
    first.acknowledge(30)
    for path in (tmp_path / "spool").glob("*.log"):
        path.unlink()
    with pytest.raises(SpoolDamaged, match="was sent"):
        spool(tmp_path)


@pytest.mark.parametrize("size", range(0, 180, 7))
def test_a_segment_that_was_never_born_is_removed(tmp_path: Path, size: int) -> None:
    first = spool(tmp_path)
    written = [write(first, str(number)) for number in range(4)]
    unborn = segment_path(tmp_path / "spool", 5)
    unborn.write_bytes(header(first.head)[:size])
    again = spool(tmp_path)
    assert everything(again) == written
    assert write(again, "next").sequence == 5
    assert everything(spool(tmp_path))[-1].receipt == "next"


def test_an_event_too_large_to_keep_refuses_its_own_read_only(tmp_path: Path) -> None:
    log = spool(tmp_path)
    large = replace(draft("large"), data=canonical({"n": "x" * MAX_DATA}))
    with pytest.raises(EvidenceUnavailable, match="more than"):
        log.append(large)
    assert write(log, "next").sequence == 1


def test_a_torn_write_is_cut_kept_aside_and_reported(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = spool(tmp_path, limits=SpoolLimits())
    written = [write(first, str(n)) for n in range(3)]
    (path,) = (tmp_path / "spool").glob("*.log")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:37])
    assert everything(spool(tmp_path)) == written
    assert path.with_suffix(".torn").read_bytes() == whole[:37]
    assert "torn write" in caplog.text


def test_a_flipped_bit_stops_the_agent_instead_of_skipping_evidence(tmp_path: Path) -> None:
    first = spool(tmp_path, limits=SpoolLimits())
    for number in range(5):
        write(first, str(number))
    (path,) = (tmp_path / "spool").glob("*.log")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)
    with pytest.raises(SpoolDamaged, match="event 3"):
        spool(tmp_path)


def test_a_missing_segment_is_found(tmp_path: Path) -> None:
    first = spool(tmp_path)
    for number in range(30):
        write(first, str(number))
    sorted((tmp_path / "spool").glob("*.log"))[1].unlink()
    with pytest.raises(SpoolDamaged, match="missing"):
        spool(tmp_path)


def test_a_missing_first_segment_that_nobody_has_is_found(tmp_path: Path) -> None:
    first = spool(tmp_path)
    for number in range(30):
        write(first, str(number))
    oldest = min((tmp_path / "spool").glob("*.log"))
    kept = oldest.read_bytes()
    oldest.unlink()
    with pytest.raises(SpoolDamaged, match=r"evidence 1 to \d+ is missing"):
        spool(tmp_path)
    oldest.write_bytes(kept)
    again = spool(tmp_path)
    again.acknowledge(29)
    assert spool(tmp_path).acknowledged > 0
