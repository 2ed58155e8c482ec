"""An export tells every change, and which record is the first bad one."""

import random
from collections import Counter

import pytest

from mesh.evidence.codec import decode_event
from mesh.evidence.envelopes import is_envelope
from mesh.evidence.exports import ExportVerdict, verify_export
from mesh.evidence.manifests import Selection, read_leaves, read_manifest
from mesh.evidence.verifying import Finding, Wrong
from tests.unit.evidence.logs import BASE, Shape, export, log
from tests.unit.evidence.tampering import KINDS, first_difference, splice

LATER = Selection(since=BASE)
BOOKINGS = log("bookings/bookings-1", 12)
FLEET = log("fleet/fleet-1", 9, seed=8)
SHAPE = Shape(piece=5, sizes=(4, 10))
LINES = export([BOOKINGS, FLEET], SHAPE)


def first(verdict: ExportVerdict) -> Finding:
    assert verdict.first is not None
    return verdict.first


def named(verdict: ExportVerdict) -> tuple[Wrong, str, int | None, int | None]:
    found = first(verdict)
    return found.wrong, found.log, found.first, found.last


def test_an_untouched_export_fits() -> None:
    verdict = verify_export(LINES)
    assert verdict.first is None
    assert [(log.records, log.proven) for log in verdict.logs] == [(12, 12), (9, 9)]
    assert not any(log.remarks for log in verdict.logs)


def item(lines: list[bytes], at: int) -> tuple[str, int] | None:
    """What stands in a line: the record, or the first one whose hashes the line has."""
    if at == 0 or at >= len(lines):
        return None
    manifest = read_manifest(lines[0][:-1])
    if is_envelope(lines[at]):
        leaves = read_leaves(lines[at][:-1], manifest.key)
        return f"{leaves.domain}/{leaves.agent}", leaves.first
    found = decode_event(lines[at])
    return found.source.removeprefix("/agents/"), found.sequence


def check_told(lines: list[bytes], changed: list[bytes]) -> bool:
    """Assert that a change is told and named rightly; whether there is a change."""
    at = first_difference(lines, changed)
    if at is None:
        return False
    found = first(verify_export(changed))
    expected = item(lines, at)
    if expected is not None:
        assert (found.log, found.first, found.last) == (*expected, expected[1])
    elif at == 0:
        assert (found.wrong, found.line) == (Wrong.MANIFEST, 1)
    else:
        assert found.wrong is Wrong.EXTRA
    if found.line is not None:
        assert found.line == at + 1
    return True


def tamper(count: int, seed: int) -> Counter[str]:
    rng = random.Random(seed)  # noqa: S311 - a seeded series
    exports = [
        LINES,
        export([BOOKINGS, FLEET], Shape(piece=4, after=4, whole_from=6, sizes=(6, 9))),
        export([FLEET], Shape(piece=300)),
    ]
    other = export([BOOKINGS, FLEET], Shape(piece=5, whole_from=3), selection=LATER)
    tried: Counter[str] = Counter()
    while tried.total() < count:
        if rng.randrange(len(KINDS) + 1) == 0:
            name, changed = "splice", splice(LINES, other, rng)
            # Whose manifest it has is whose export it claims to be.
            lines = other if changed[:1] == other[:1] else LINES
        else:
            lines, kind = rng.choice(exports), rng.choice(KINDS)
            name, changed = kind.__name__, kind(lines, rng)
        tried[name] += check_told(lines, changed)
    return tried


def test_a_thousand_random_changes_are_all_told_and_the_first_bad_record_named() -> None:
    assert tamper(1_000, 14).total() == 1_000


@pytest.mark.slow
def test_ten_thousand_random_changes_are_all_told_and_the_first_bad_record_named() -> None:
    tried = tamper(10_000, 20261125)
    assert tried.total() == 10_000
    assert min(tried.values()) > 300
