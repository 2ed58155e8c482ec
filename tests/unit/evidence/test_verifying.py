"""What only keys tell: forks, replaced keys, hashes changed with their records, older logs."""

from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mesh.evidence.codec import encode_event
from mesh.evidence.envelopes import fingerprint
from mesh.evidence.exports import Trust, verify_export
from mesh.evidence.manifests import Manifest, Selection, manifest_line, read_manifest
from mesh.evidence.verifying import UNSIGNED_AFTER, Finding, Wrong
from tests.unit.evidence.logs import (
    BASE,
    CONTROL,
    CONTROL_KEY,
    Log,
    Shape,
    event,
    export,
    log,
    replaced,
    stretch,
)

BOOKINGS = log("bookings/bookings-1", 12)
FLEET = log("fleet/fleet-1", 9, seed=8)
SHAPE = Shape(piece=5, sizes=(4, 10))
OTHER_KEY = Ed25519PrivateKey.from_private_bytes(b"\x09" * 32)
FORGED = encode_event(event(BOOKINGS.name, 7, " -- not what was run"))


def found(lines: list[bytes], trust: Trust | None = None, *, latest: bool = False) -> Finding:
    finding = verify_export(lines, trust, latest=latest).first
    assert finding is not None
    return finding


def with_notes(forged: Log, *sizes: int) -> list[bytes]:
    """An export of another log, with the notes that the agent signed of its own."""
    shape = Shape(piece=5)
    notes = [BOOKINGS.note(size) for size in (*sizes, 12)]
    return export([forged, FLEET], shape, [stretch(forged, shape, *notes), stretch(FLEET, shape)])


def test_a_record_changed_with_its_hash_is_within_the_smallest_range_that_was_signed() -> None:
    forged = replaced(BOOKINGS, 7, FORGED)
    for sizes, expected in (((), (1, 12)), ((4, 10), (5, 10)), ((6, 7), (7, 7)), ((6, 8), (7, 8))):
        finding = found(with_notes(forged, *sizes))
        assert (finding.wrong, finding.log) == (Wrong.FORK, BOOKINGS.name)
        assert (finding.first, finding.last) == expected


@pytest.mark.parametrize("size", [6, 11])
def test_records_left_out_by_the_control_plane_itself_are_told(size: int) -> None:
    shorter = replace(BOOKINGS, records=BOOKINGS.records[:size])
    verdict = verify_export(with_notes(shorter))
    assert verdict.logs[0].finding is not None
    assert verdict.logs[0].finding.wrong is Wrong.UNSIGNED
    assert f"signed for 12 records, and {size} are here" in " ".join(verdict.logs[0].remarks)


def test_a_log_with_a_record_moved_by_the_control_plane_is_named_exactly() -> None:
    records = list(BOOKINGS.records)
    records[2], records[6] = records[6], records[2]
    finding = found(with_notes(replace(BOOKINGS, records=records)))
    assert (finding.wrong, finding.first, finding.last) == (Wrong.RECORD, 3, 3)
    assert "another place" in finding.message
    lines = export([BOOKINGS], SHAPE)
    lines[2], lines[3] = lines[3], lines[2]
    assert found(lines).message.endswith("it says it is record 2")


def test_a_record_of_another_agent_is_named_even_when_it_was_signed() -> None:
    finding = found(export([replaced(BOOKINGS, 5, FLEET.records[4])], SHAPE))
    assert (finding.wrong, finding.first) == (Wrong.RECORD, 5)
    assert "another place or log" in finding.message


@pytest.mark.parametrize(
    "odd", [b"{}", b"[]", b"null", b"7", b'{"data":[]}', b"\xff", b"[" * 100_000, b""]
)
def test_bytes_that_are_no_record_are_named_even_when_they_were_signed(odd: bytes) -> None:
    finding = found(export([replaced(BOOKINGS, 5, odd)], SHAPE))
    assert (finding.wrong, finding.first, finding.last) == (Wrong.RECORD, 5, 5)


def test_a_record_in_another_form_is_named_even_when_it_was_signed() -> None:
    spaced = BOOKINGS.records[4].replace(b'"data":{', b'"data": {')
    finding = found(export([replaced(BOOKINGS, 5, spaced)], SHAPE))
    assert (finding.wrong, finding.first) == (Wrong.RECORD, 5)


def test_two_signed_logs_of_one_size_are_a_fork() -> None:
    fork = log(BOOKINGS.name, 12, " of the other story")
    assert fork.public_key == BOOKINGS.public_key
    both = stretch(BOOKINGS, SHAPE, BOOKINGS.note(12), fork.note(12))
    finding = found(export([BOOKINGS], SHAPE, [both]))
    assert finding.wrong is Wrong.FORK
    assert "two different logs of 12 records" in finding.message


def test_an_earlier_checkpoint_of_a_forked_log_is_a_fork() -> None:
    fork = log(BOOKINGS.name, 8, " of the other story")
    both = stretch(BOOKINGS, SHAPE, BOOKINGS.note(12), fork.note(8))
    finding = found(export([BOOKINGS], SHAPE, [both]))
    assert (finding.wrong, finding.first, finding.last) == (Wrong.FORK, 5, 8)


def test_a_checkpoint_of_another_key_or_log_is_told() -> None:
    by_other = stretch(BOOKINGS, SHAPE, BOOKINGS.note(12, OTHER_KEY))
    finding = found(export([BOOKINGS], SHAPE, [by_other]))
    assert (finding.wrong, finding.first) == (Wrong.CHECKPOINT, 1)
    foreign = replace(BOOKINGS, name="bookings/bookings-2")
    of_other = stretch(BOOKINGS, SHAPE, BOOKINGS.note(12), foreign.note(5))
    assert found(export([BOOKINGS], SHAPE, [of_other])).wrong is Wrong.CHECKPOINT


def test_a_replaced_agent_key_is_told_to_who_knows_the_right_one() -> None:
    imposter = replace(BOOKINGS, key=OTHER_KEY)
    lines = export([imposter, FLEET], SHAPE)
    assert verify_export(lines).first is None
    finding = found(lines, Trust(agents={BOOKINGS.name: fingerprint(BOOKINGS.public_key)}))
    assert (finding.wrong, finding.log) == (Wrong.KEY, BOOKINGS.name)
    verdict = verify_export(lines, Trust(agents={BOOKINGS.name: fingerprint(BOOKINGS.public_key)}))
    assert verdict.logs[1].finding is None
    assert verdict.logs[1].proven == 9


def test_a_replaced_control_plane_is_told_to_who_knows_the_right_one() -> None:
    lines = export([BOOKINGS], SHAPE)
    assert verify_export(lines, Trust(control_plane=fingerprint(CONTROL_KEY))).first is None
    other = OTHER_KEY.public_key().public_bytes_raw()
    assert found(lines, Trust(control_plane=fingerprint(other))).wrong is Wrong.KEY


def test_a_manifest_signed_by_another_key_than_it_names_is_refused() -> None:
    manifest = read_manifest(export([BOOKINGS], SHAPE)[0][:-1])
    forged = manifest_line(manifest, OTHER_KEY.sign) + b"\n"
    assert found([forged]).wrong is Wrong.MANIFEST


def test_records_that_nobody_signed_for_are_told_when_they_are_old() -> None:
    def lines(notes: tuple[str, ...], later: timedelta) -> list[bytes]:
        made = export([BOOKINGS], Shape(piece=5), [stretch(BOOKINGS, SHAPE, *notes)])
        manifest = read_manifest(made[0][:-1])
        moved = replace(manifest, time=BASE + later)
        return [manifest_line(moved, CONTROL.sign) + b"\n", *made[1:]]

    soon = verify_export(lines((BOOKINGS.note(10),), timedelta(minutes=1)))
    assert soon.first is None
    assert (soon.logs[0].proven, soon.logs[0].remarks) == (
        10,
        ("2 records at the end not signed for yet",),
    )
    late = found(lines((BOOKINGS.note(10),), UNSIGNED_AFTER + timedelta(minutes=1)))
    assert (late.wrong, late.first) == (Wrong.UNSIGNED, 11)
    never = found(lines((FLEET_NOTE_OF_NOTHING,), timedelta(minutes=1)))
    assert (never.wrong, never.first, never.last) == (Wrong.UNSIGNED, 1, 12)


FLEET_NOTE_OF_NOTHING = BOOKINGS.note(0)


def test_a_log_is_shorter_than_what_its_agent_signed_for_long_ago() -> None:
    shorter = replace(BOOKINGS, records=BOOKINGS.records[:10])

    def lines(later: timedelta, selection: Selection) -> list[bytes]:
        notes = [BOOKINGS.note(size) for size in (10, 12)]
        made = export([shorter], SHAPE, [stretch(shorter, SHAPE, *notes)], selection)
        moved = replace(read_manifest(made[0][:-1]), time=BASE + later)
        return [manifest_line(moved, CONTROL.sign) + b"\n", *made[1:]]

    on_its_way = verify_export(lines(timedelta(minutes=1), Selection()))
    assert on_its_way.first is None
    assert "signed for 12 records, and 10 are here" in " ".join(on_its_way.logs[0].remarks)
    later = UNSIGNED_AFTER + timedelta(minutes=1)
    gone = found(lines(later, Selection()))
    assert (gone.wrong, gone.first, gone.last) == (Wrong.TRUNCATED, 11, 12)
    window = Selection(before=BASE + timedelta(minutes=1))
    assert verify_export(lines(later, window)).first is None


def test_a_log_is_shorter_than_what_the_auditor_saw_before() -> None:
    shorter = replace(BOOKINGS, records=BOOKINGS.records[:8])
    lines = export([shorter], SHAPE)
    trust = Trust(heads={BOOKINGS.name: BOOKINGS.note(12)})
    for latest in (False, True):
        finding = found(lines, trust, latest=latest)
        assert (finding.wrong, finding.first, finding.last) == (Wrong.TRUNCATED, 9, 12)


def test_a_log_is_another_one_than_what_the_auditor_saw_before() -> None:
    rewritten = log(BOOKINGS.name, 12, " of the other story")
    lines = export([rewritten], Shape(piece=5, sizes=(3,)))
    assert verify_export(lines).first is None
    finding = found(lines, Trust(heads={BOOKINGS.name: BOOKINGS.note(8)}))
    assert (finding.wrong, finding.first, finding.last) == (Wrong.FORK, 4, 8)


def test_a_log_that_the_auditor_knows_is_gone() -> None:
    lines = export([FLEET], SHAPE)
    for trust in (
        Trust(agents={BOOKINGS.name: fingerprint(BOOKINGS.public_key)}),
        Trust(heads={BOOKINGS.name: BOOKINGS.note(3)}),
    ):
        for latest in (False, True):
            finding = found(lines, trust, latest=latest)
            assert (finding.wrong, finding.log) == (Wrong.MISSING, BOOKINGS.name)
    narrow = export([FLEET], SHAPE, selection=Selection(domain="fleet"))
    assert verify_export(narrow, trust, latest=True).first is None


def test_a_window_of_a_log_is_verified_from_its_frontier() -> None:
    shape = Shape(piece=3, after=5, whole_from=8, sizes=(6, 9))
    since = Selection(since=BASE)
    verdict = verify_export(export([BOOKINGS], shape, selection=since))
    assert verdict.first is None
    assert (verdict.logs[0].records, verdict.logs[0].proven) == (4, 12)
    wrong = replace(stretch(BOOKINGS, shape), frontier=FLEET.frontier(5))
    finding = found(export([BOOKINGS], shape, [wrong], since))
    assert (finding.wrong, finding.first, finding.last) == (Wrong.FORK, 6, 6)


def test_a_log_without_records_of_the_window_still_has_its_checkpoint_compared() -> None:
    shape, since = Shape(after=12), Selection(since=BASE)
    assert verify_export(export([BOOKINGS], shape, selection=since)).first is None
    other = log(BOOKINGS.name, 12, " of the other story")
    wrong = replace(stretch(BOOKINGS, shape), frontier=other.frontier(12))
    assert found(export([BOOKINGS], shape, [wrong], since)).wrong is Wrong.FORK


def test_an_export_of_no_logs_has_a_manifest() -> None:
    empty = manifest_line(Manifest(CONTROL_KEY, BASE), CONTROL.sign) + b"\n"
    assert verify_export([empty]).first is None
    assert found([empty, b"{}\n"]).wrong is Wrong.EXTRA
    assert found([]).wrong is Wrong.MANIFEST


def test_a_finding_says_where() -> None:
    assert Finding(Wrong.KEY, "", "a/b").where == "a/b"
    assert Finding(Wrong.KEY, "").where == "export"
    assert Finding(Wrong.RECORD, "", "a/b", 3, 3).where == "a/b record 3"
    assert Finding(Wrong.FORK, "", "a/b", 3, 9).where == "a/b one of the records 3 to 9"


def test_after_a_log_that_fails_the_others_are_verified() -> None:
    lines = export([BOOKINGS, FLEET], SHAPE)
    lines[3] = lines[3].replace(b"SELECT", b"SELEKT")
    verdict = verify_export(lines)
    assert verdict.logs[0].finding is not None
    assert (verdict.logs[1].finding, verdict.logs[1].proven) == (None, 9)
