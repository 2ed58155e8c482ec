"""Rehearsing on an agent's own evidence: who would gain or lose what, and nothing of the data."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from domain_agent.flight.ports import ReadContext
from domain_agent.reads.deciding import DatasetDecision
from domain_agent.reads.receipts import Statement, Totals
from domain_agent.rehearsal.recorded import History, read_history, records_of
from domain_agent.rehearsal.rehearsing import Ended, Rehearsal, Rehearsed
from domain_agent.spool.spool import SpoolLimits
from mesh.decisions.comparing import Kind
from mesh.decisions.deciding import Decider
from mesh.decisions.inputs import ReadRequest, decision_input
from mesh.decisions.layers import with_declarations
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.errors import PolicyDenied, PolicyInvalid
from mesh.identity.principal import Caller, Principal, PrincipalKind, domain_audience
from tests.bench.decided import CONTRACT, NOW, agreement
from tests.unit.decisions.examples import library
from tests.unit.reads.recording import Recording, recording

CONTRACTS = {CONTRACT.product: CONTRACT}
CAREFUL = """package mesh.organisation

masks contains {"rule": "organisation.contact", "class": class.id, "mask": "drop"} if {
	some class in input.dataset.classes
	class.category == "contact"
}

# METADATA
# title: organisation.known
# description: Only known readers read.
require["organisation.known"] if input.subject.id in {"reader-0", "reader-1"}
"""
HOLE = CAREFUL.replace('class.category == "contact"', 'class.category == "contacts"')
OPEN = CAREFUL.replace('{"reader-0", "reader-1"}', '{"reader-0", "reader-1", "reader-2"}')
Clock = Callable[[], datetime]


def policy(organisation: str) -> Policy:
    return with_declarations({**library(), "organisation/o.rego": organisation})


class Scene:
    """An agent that recorded reads under a policy."""

    def __init__(self, folder: Path, limits: SpoolLimits | None = None) -> None:
        self.time = NOW
        self.made: Recording = recording(folder, lambda: self.time, limits=limits)

    def read(self, reader: int, in_force: Policy) -> None:
        """Decide a read and record it, as the agent does."""
        principal = Principal(PrincipalKind.USER, f"reader-{reader}", teams=("ops",))
        request = ReadRequest(principal, "crew-planning", self.time, "bookings", "bookings-1")
        asked = decision_input(request, CONTRACT, "passengers", agreement(reader))
        engine = RegopyEngine()
        try:
            decider = Decider(engine)
            decider.load(in_force)
            decided = decider.decide(asked)
        finally:
            engine.close()
        made = DatasetDecision(CONTRACT, CONTRACT.datasets[0], agreement(reader), asked, decided)
        caller = Caller(principal, domain_audience("bookings"), "token", NOW)
        context = ReadContext(caller, "crew-planning", frozenset(), "ipv4:127.0.0.1:1")
        statement = Statement("SELECT $1", context, (made,), 1)
        if decided.decision.allow:
            receipt = self.made.receipts.started(statement)
            self.made.receipts.completed(receipt, Totals(1, 1, 1))
        else:
            self.made.receipts.refused(statement, PolicyDenied("no"))
        self.time += timedelta(minutes=1)

    def history(self) -> History:
        return read_history(records_of(self.made.spool), self.made.keys.secrets())


def rehearsed(candidate: Policy, in_force: Policy, history: History) -> Rehearsed:
    ended = threading.Event()
    rehearsal = Rehearsal(candidate, in_force, CONTRACTS, RegopyEngine, 2, ended)
    return rehearsal.run(history)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(tmp_path)
    for reader in (0, 0, 1, 2):
        scene.read(reader, policy(CAREFUL))
    return scene


def test_each_distinct_input_is_there_once_with_its_reads(scene: Scene) -> None:
    history = scene.history()
    assert (history.reads, history.unreadable) == (4, 0)
    assert sorted(one.reads for one in history.decisions) == [1, 1, 2]
    assert max(one.last for one in history.decisions) == NOW + timedelta(minutes=3)


def test_the_same_policy_changes_nothing(scene: Scene) -> None:
    found = rehearsed(policy(CAREFUL), policy(CAREFUL), scene.history())
    assert (found.distinct, found.reads, found.findings) == (3, 4, ())


def test_a_hole_names_the_column_and_who_would_gain_it(scene: Scene) -> None:
    found = rehearsed(policy(HOLE), policy(CAREFUL), scene.history()).findings
    told = {
        (one.kind, one.columns, one.principal, one.before, one.after, one.reads) for one in found
    }
    assert told == {
        (Kind.COLUMN_EXPOSED, ("email",), "user:reader-0", "drop", "partial", 2),
        (Kind.COLUMN_EXPOSED, ("email",), "user:reader-1", "drop", "partial", 1),
    }
    assert {(one.product, one.dataset, one.classification) for one in found} == {
        ("bookings.reservations", "passengers", "confidential")
    }


def test_who_would_be_let_in_comes_before_what_they_would_see(scene: Scene) -> None:
    found = rehearsed(policy(OPEN), policy(CAREFUL), scene.history()).findings
    assert found[0].kind is Kind.ACCESS_GAINED
    assert found[0].before == "refused: organisation.known"
    assert {one.principal for one in found} == {"user:reader-2"}
    exposed = {column for one in found for column in one.columns}
    assert exposed == {"id", "name", "country", "carrier"}


def test_decisions_of_older_policies_are_made_again_with_the_one_in_force(scene: Scene) -> None:
    found = rehearsed(policy(HOLE), policy(HOLE), scene.history())
    assert found.findings == ()
    back = rehearsed(policy(CAREFUL), policy(HOLE), scene.history()).findings
    assert {one.kind for one in back} == {Kind.COLUMN_MASKED}


def test_reads_of_an_erased_person_are_counted_and_never_opened(scene: Scene) -> None:
    scene.made.keys.destroy("user:reader-0")
    history = scene.history()
    assert (history.reads, history.unreadable, len(history.decisions)) == (4, 2, 2)


def test_what_is_stored_downstream_is_still_there_and_dropped_beyond_its_quota(
    tmp_path: Path,
) -> None:
    for quota, kept in ((1 << 20, 4), (0, 0)):
        scene = Scene(tmp_path / str(quota), SpoolLimits(segment=1, history=quota))
        for reader in (0, 1, 2, 0):
            scene.read(reader, policy(CAREFUL))
        spool = scene.made.spool
        spool.acknowledge(spool.head.size)
        assert spool.read_records_after(0, 1) == []
        # The newest segment is never dropped; it has the end of the last read.
        assert scene.history().reads == kept


def test_a_candidate_that_does_not_load_is_refused(scene: Scene) -> None:
    with pytest.raises(PolicyInvalid):
        rehearsed(policy("package mesh.organisation\n\nx := {\n"), policy(CAREFUL), scene.history())


def test_a_finding_keeps_its_id_from_one_rehearsal_to_the_next(scene: Scene) -> None:
    ids = {one.id for one in rehearsed(policy(HOLE), policy(CAREFUL), scene.history()).findings}
    scene.read(0, policy(CAREFUL))
    again = rehearsed(policy(HOLE), policy(CAREFUL), scene.history()).findings
    assert {one.id for one in again} == ids
    assert datetime(2026, 1, 15, 12, 4, tzinfo=UTC) in {one.last for one in again}


def test_a_rehearsal_that_is_ended_stops_at_the_next_decision(scene: Scene) -> None:
    ended = threading.Event()
    ended.set()
    rehearsal = Rehearsal(policy(HOLE), policy(CAREFUL), CONTRACTS, RegopyEngine, 1, ended)
    with pytest.raises(Ended):
        rehearsal.run(scene.history())
