"""An export tells every random change, and which record is the first bad one."""

from mesh.evidence.exports import verify_export
from tests.unit.evidence.tampering import LINES, tamper


def test_an_untouched_export_fits() -> None:
    verdict = verify_export(LINES)
    assert verdict.first is None
    assert [(log.records, log.proven) for log in verdict.logs] == [(12, 12), (9, 9)]
    assert not any(log.remarks for log in verdict.logs)


def test_a_thousand_random_changes_are_all_told_and_the_first_bad_record_named() -> None:
    tried = tamper(1_000, 14)
    assert tried.total() == 1_000
    assert min(tried.values()) > 30
