"""What is kept of OPAs and of what they tell, whichever database is below."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from control_plane.database import Database, migrate, open_database
from control_plane.notices import Heads
from control_plane.opa import store
from control_plane.opa.revisions import Revision
from control_plane.opa.rules import KnownOpa, OpaStatus
from control_plane.timeline import store as timeline
from control_plane.timeline.decision_store import record_decisions
from control_plane.timeline.rules import Entry, Read, Sight, ToldDecision, Wanted

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
ALL = Sight(everything=True, domains=frozenset(), actor="")
TOLD = ToldDecision(
    id="d-1",
    opa="opa-1",
    domain="bookings",
    time=NOW,
    allow=False,
    actor="user:ana",
    product="bookings.fares",
    purpose="crew-planning",
    reasons=("agreement.missing",),
    summary="told",
)
OPA = KnownOpa(
    "bookings", "service:opa", OpaStatus("opa-1", "1.22.2", Revision(7, "ab" * 32), ""), NOW
)


@pytest.fixture
def heads() -> list[Heads]:
    return []


@pytest.fixture(params=["sqlite", "postgres"])
def database(
    request: pytest.FixtureRequest, tmp_path: Path, heads: list[Heads]
) -> Iterator[Database]:
    url = request.getfixturevalue("empty_postgres") if request.param == "postgres" else None
    engine = open_database(tmp_path / "control.db", url)
    migrate(engine)
    yield Database(engine, heads.append)
    engine.dispose()


def record(database: Database, *told: ToldDecision) -> int:
    with database.writing() as tx:
        return record_decisions(tx, told)


def entries(database: Database, sight: Sight = ALL, **wanted: str) -> list[Entry]:
    with database.reading() as tx:
        return timeline.newest(tx, sight, Wanted(**wanted), None, 100)  # type: ignore[arg-type]


def opas(database: Database, domain: str = "", after: str = "") -> list[KnownOpa]:
    with database.reading() as tx:
        return store.page(tx, domain, after, 100)


def test_a_decision_is_one_entry_of_its_own_kind(database: Database, heads: list[Heads]) -> None:
    assert record(database, TOLD) == 1
    (found,) = entries(database, kind="decision")
    assert (found.action, found.actor, found.product) == (
        "decision.denied", "user:ana", "bookings.fares",
    )  # fmt: skip
    assert (found.reference, found.reasons, found.revision) == ("d-1", ("agreement.missing",), 0)
    assert heads == [Heads(0, 1)]
    assert entries(database, kind="read") == entries(database, kind="change") == []
    assert entries(database, product="bookings.fares") == [found]


def test_the_first_of_several_stays(database: Database, heads: list[Heads]) -> None:
    later = replace(TOLD, allow=True, reasons=())
    assert record(database, TOLD, later) == 1
    assert record(database, later) == 0
    assert [one.action for one in entries(database)] == ["decision.denied"]
    assert heads == [Heads(0, 1)]
    others = [replace(TOLD, opa="opa-2"), replace(TOLD, domain="fleet"), replace(TOLD, id="d-2")]
    assert record(database, *others) == 3


def test_a_receipt_of_the_same_id_is_another_entry(database: Database) -> None:
    read = Read("d-1", "read.started", NOW, "bookings", "opa-1", "user:ana")
    with database.writing() as tx:
        timeline.record_reads(tx, [read])
    assert record(database, TOLD) == 1
    with database.writing() as tx:
        timeline.record_reads(tx, [replace(read, action="read.completed")])
    assert {one.action for one in entries(database)} == {"decision.denied", "read.completed"}


def test_those_see_it_who_see_the_domain_or_did_it(database: Database) -> None:
    record(database, TOLD)
    for sight, seen in (
        (Sight(False, frozenset({"bookings"}), "user:olga"), 1),
        (Sight(False, frozenset({"fleet"}), "user:fred"), 0),
        (Sight(False, frozenset(), "user:ana"), 1),
    ):
        assert len(entries(database, sight)) == seen


def test_an_erasure_takes_the_name_out(database: Database) -> None:
    record(database, TOLD)
    with database.writing() as tx:
        timeline.erase_principal(tx, "user:ana", "erased")
    assert record(database, TOLD) == 0
    (found,) = entries(database)
    assert found.actor == "erased"
    assert "ana" not in found.summary


def test_an_opa_is_as_it_last_said(database: Database) -> None:
    later = replace(OPA, status=OpaStatus("opa-1", "", None, "no bundle"), heard=NOW)
    for one in (OPA, replace(OPA, domain="fleet"), later):
        with database.writing() as tx:
            store.note(tx, one)
    assert opas(database) == [later, replace(OPA, domain="fleet")]
    assert opas(database, "fleet") == opas(database, after="bookings/opa-1")


def test_one_that_was_silent_for_long_is_forgotten_in_its_domain(database: Database) -> None:
    new = replace(OPA, status=replace(OPA.status, id="opa-2"), heard=NOW + timedelta(days=8))
    for one in (OPA, replace(OPA, domain="fleet"), new):
        with database.writing() as tx:
            store.note(tx, one)
    assert opas(database) == [new, replace(OPA, domain="fleet")]
