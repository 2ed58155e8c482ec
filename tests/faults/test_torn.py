"""R2: a log that was cut or changed is recovered to its longest whole prefix, or refused aloud."""

import logging
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.logs import TAIL, Log, written_log
from tests.faults.tally import Scale, Trial

FAULT = "torn write: the log cut at every byte of its last 64 KiB; one random bit flipped"
FLIPS = 10_000
Opened = Callable[[str, str], Trial]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return written_log(tmp_path / "spool", 7)


def test_cut_at_every_byte_the_longest_whole_prefix_is_recovered(
    log: Log, scale: Scale, trial: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    row = trial("R2", FAULT)
    caplog.set_level(logging.WARNING)
    whole = log.files[log.last]
    for size in range(len(whole) - TAIL, len(whole), TAIL // scale.of(TAIL, 256)):
        count, end = log.whole_at(size)
        for signed in (None, log.head, log.middle)[: 3 if size % 8 == 0 else 2]:
            log.changed(log.last, whole[:size])
            caplog.clear()
            found = log.opened(signed)
            if signed is not None and signed.size > count:
                assert isinstance(found, str), f"cut at {size}: the loss is not noticed"
                assert f"{count + 1} to {signed.size} is missing" in found
                row.count("refused: what was signed for is gone")
                continue
            assert found == log.records[:count], f"cut at {size}"
            assert ("torn write" in caplog.text) == (size > end), f"cut at {size}"
            if size > end:
                assert log.last.with_suffix(".torn").read_bytes() == whole[end:size]
            row.count("recovered to the longest whole prefix")
        row.tried += 1


def test_cut_before_its_first_event_a_segment_is_dropped_aloud(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    whole = log.files[log.last]
    header = log.ends[0] - len(log.records[log.before_last]) - 8
    for size in range(header + 1):
        log.changed(log.last, whole[:size])
        caplog.clear()
        assert log.opened(None) == log.records[: log.before_last], f"cut at {size}"
        assert log.last.exists() == (size == header)
        assert ("removed" in caplog.text) == (size < header)
        assert isinstance(log.opened(log.head), str)


def test_a_flipped_bit_is_found_wherever_it_is(
    log: Log, scale: Scale, trial: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    row, rng = trial("R2", FAULT), random.Random(20261125)  # noqa: S311 - a seeded series
    caplog.set_level(logging.WARNING)
    paths = sorted(log.files)
    sizes = [len(log.files[path]) for path in paths]
    last_record = log.ends[-2]
    for _ in range(scale.of(FLIPS, 300)):
        path = rng.choices(paths, sizes)[0]
        data = bytearray(log.files[path])
        bit = rng.randrange(len(data) * 8)
        data[bit // 8] ^= 1 << bit % 8
        for signed in (None, log.head):
            log.changed(path, bytes(data))
            caplog.clear()
            found = log.opened(signed)
            where = f"bit {bit} of {path.name}"
            if isinstance(found, str):
                row.count("refused as damaged")
                continue
            # Without a signed head the last record can't be told from a torn one.
            assert (path, signed) == (log.last, None), where
            assert bit // 8 >= last_record, where
            assert found == log.records[:-1], where
            assert "torn write" in caplog.text, where
            row.count("cut off the end as torn, kept aside and reported")
        row.tried += 1
    row.count("skipped silently", 0)
