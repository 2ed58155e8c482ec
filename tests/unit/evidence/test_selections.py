"""What an export leaves out: nothing that was selected, and nothing that was seen before."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mesh.evidence.checkpoints import read_checkpoint
from mesh.evidence.envelopes import fingerprint, is_envelope
from mesh.evidence.exports import Trust, verify_export
from mesh.evidence.manifests import (
    Selection,
    leaves_line,
    manifest_line,
    read_leaves,
    read_manifest,
)
from mesh.evidence.verifying import Wrong
from mesh.evidence.windows import Window
from tests.unit.evidence.logs import BASE, CONTROL, CONTROL_KEY, Log, Shape, export, log, stretch

BOOKINGS = log("bookings/bookings-1", 12)
FLEET = log("fleet/fleet-1", 9, seed=8)
SHAPE = Shape(piece=5, sizes=(4, 10))
SINCE, BEFORE = Selection(since=BASE), Selection(before=BASE)
BOTH = Selection(since=BASE, before=BASE + timedelta(days=1))


def left_out(one: Log, out: Sequence[int], selection: Selection = Selection()) -> list[bytes]:  # noqa: B008 - frozen
    """An export, signed anew by the control plane's key, that has of some records the hash."""
    lines: list[bytes] = []
    coming: list[int] = []
    for line in export([one], SHAPE, selection=selection):
        if is_envelope(line) and b"leaves.v1" in line:
            leaves = read_leaves(line[:-1], CONTROL_KEY)
            whole = tuple(n for n in leaves.whole if n not in out)
            lines.append(leaves_line(replace(leaves, whole=whole), CONTROL_KEY, CONTROL.sign))
            coming = list(leaves.whole)
        elif is_envelope(line):
            lines.append(line[:-1])
        else:
            lines += [] if coming.pop(0) in out else [line[:-1]]
    return [line + b"\n" for line in lines]


def test_nothing_is_left_out_of_an_export_of_everything() -> None:
    for out, first in (([7], 7), ([1], 1), ([12], 12), (range(1, 13), 1), ([3, 9], 3)):
        finding = verify_export(left_out(BOOKINGS, out)).first
        assert finding is not None
        assert (finding.wrong, finding.log, finding.first) == (Wrong.MISSING, BOOKINGS.name, first)
        assert finding.message == "the record is left out, and it was selected"


@pytest.mark.parametrize(
    ("selection", "out", "first"),
    [
        (SINCE, (1, 2, 3), None),
        (SINCE, range(1, 13), None),
        (SINCE, (1, 2, 5), 5),
        (SINCE, (12,), 12),
        (SINCE, (7,), 7),
        (BEFORE, (11, 12), None),
        (BEFORE, range(1, 13), None),
        (BEFORE, (1,), 1),
        (BEFORE, (7,), 7),
        (BEFORE, (7, 8, 12), 7),
        (BOTH, (1, 2, 11, 12), None),
        (BOTH, (1, 2, 7, 11, 12), 7),
    ],
)
def test_a_window_leaves_out_a_beginning_or_an_end_and_says_so(
    selection: Selection, out: Sequence[int], first: int | None
) -> None:
    verdict = verify_export(left_out(BOOKINGS, out, selection))
    if first is None:
        assert verdict.first is None
        said = f"whole {12 - len(out)} of 12, of the rest the hashes alone"
        assert verdict.logs[0].remarks[0] == said
    else:
        assert verdict.first is not None
        assert (verdict.first.wrong, verdict.first.first) == (Wrong.MISSING, first)


@given(st.lists(st.booleans(), max_size=12), st.booleans(), st.booleans())
def test_what_may_be_whole_is_one_run_at_the_ends_that_a_window_has(
    kept: list[bool], since: bool, before: bool
) -> None:
    window = Window(Selection(since=BASE if since else None, before=BASE if before else None))
    told = [window.wrongly_left_out(n, whole=whole) for n, whole in enumerate(kept, 1)]
    fits = all(one is None for one in told)
    wanted = "".join("w" if whole else "-" for whole in kept)
    inner = wanted.lstrip("-") if since else wanted
    inner = inner.rstrip("-") if before else inner
    assert fits == ("-" not in inner)
    if not fits:
        first = next(one for one in told if one is not None)
        assert not kept[first - 1]


def test_a_log_begins_late_only_where_a_time_is_given() -> None:
    late = Shape(piece=5, after=8)
    for selection, fits in ((Selection(), False), (BEFORE, False), (SINCE, True), (BOTH, True)):
        verdict = verify_export(export([BOOKINGS], late, selection=selection))
        assert (verdict.first is None) is fits
        if verdict.first is not None:
            assert (verdict.first.wrong, verdict.first.first) == (Wrong.MISSING, 1)
    nothing = Shape(after=12)
    assert verify_export(export([BOOKINGS], nothing, selection=BEFORE)).first is None
    assert verify_export(export([BOOKINGS], nothing)).first is not None


def dated(lines: list[bytes], later: timedelta) -> list[bytes]:
    manifest = read_manifest(lines[0][:-1])
    moved = replace(manifest, time=read_checkpoint(BOOKINGS.note(12)).time + later)
    return [manifest_line(moved, CONTROL.sign) + b"\n", *lines[1:]]


SEEN = Trust(
    agents={BOOKINGS.name: fingerprint(BOOKINGS.public_key)},
    heads={BOOKINGS.name: BOOKINGS.note(12)},
)
SHORTER = replace(BOOKINGS, records=BOOKINGS.records[:8])
EMPTY = replace(BOOKINGS, records=[])


@pytest.mark.parametrize(
    ("logs", "wrong"),
    [
        ([SHORTER, FLEET], Wrong.TRUNCATED),
        ([EMPTY, FLEET], Wrong.TRUNCATED),
        ([FLEET], Wrong.MISSING),
    ],
)
def test_an_export_that_is_newer_than_what_was_seen_has_all_of_it(
    logs: list[Log], wrong: Wrong
) -> None:
    lines = export(logs, SHAPE)
    finding = verify_export(dated(lines, timedelta(0)), SEEN).first
    assert finding is not None
    assert (finding.wrong, finding.log) == (wrong, BOOKINGS.name)
    older = verify_export(dated(lines, timedelta(seconds=-1)), SEEN)
    assert older.first is None
    said = " ".join([*older.remarks, *(" ".join(one.remarks) for one in older.logs)])
    assert "older than what you saw" in said
    assert verify_export(dated(lines, timedelta(seconds=-1)), SEEN, latest=True).first is not None


def test_a_window_that_ends_earlier_than_what_was_seen_is_told_as_not_compared() -> None:
    before = export([SHORTER], Shape(piece=5), selection=BEFORE)
    verdict = verify_export(dated(before, timedelta(hours=1)), SEEN)
    assert verdict.first is None
    assert "your checkpoint of 12 records is outside of it, not compared" in verdict.logs[0].remarks
    gone = export([FLEET], SHAPE, selection=BEFORE)
    assert verify_export(dated(gone, timedelta(hours=1)), SEEN).first is not None
    other = export([FLEET], SHAPE, selection=Selection(domain="fleet"))
    assert verify_export(dated(other, timedelta(hours=1)), SEEN).first is None


def test_a_log_is_neither_there_twice_nor_without_being_selected() -> None:
    twice = export([BOOKINGS], SHAPE, [stretch(BOOKINGS, SHAPE), stretch(BOOKINGS, SHAPE)])
    foreign = export([BOOKINGS], SHAPE, selection=Selection(domain="fleet"))
    for lines in (twice, foreign):
        finding = verify_export(lines).first
        assert finding is not None
        assert finding.wrong is Wrong.MANIFEST
