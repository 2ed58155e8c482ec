"""Logs over real gRPC: witnessed, listed, read by those who may, proven; tampering is found."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from mesh.errors import (
    AgentNotFound,
    ControlOverloaded,
    DutyMissing,
    EvidenceUnsigned,
    ReceiptNotFound,
    RequestInvalid,
    TokenExpired,
)
from mesh.evidence.checkpoints import open_checkpoint
from mesh.evidence.exports import ExportVerdict, verify_export
from mesh.evidence.manifests import read_manifest
from mesh.evidence.merkle import leaf_hash, root_of_inclusion
from mesh.evidence.verifying import Wrong
from mesh.v1 import audit_pb2, logs_pb2
from mesh.wire.times import to_timestamp
from tests.unit.control_plane.running import Client, Plane, error_of, eventually, running
from tests.unit.control_plane.witnessed import (
    BOOKINGS,
    append,
    change,
    enrolled,
    fill,
    sign,
)
from tests.unit.evidence.logs import log


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with running(tmp_path / "state") as plane:
        yield plane


@pytest.fixture
def filled(plane: Plane) -> Plane:
    """A control plane with two logs, signed for but for the last record of one."""
    fill(plane)
    return plane


def auditor(plane: Plane) -> Client:
    return plane.user("ada", duties=("auditor",))


def lines(client: Client, **wanted: object) -> list[bytes]:
    """An export, line by line."""
    selection = logs_pb2.LogSelection(**wanted)  # type: ignore[arg-type]
    request = logs_pb2.SignManifestRequest(selection=selection)
    manifest = client.logs.SignManifest(request).manifest
    found = [manifest]
    for stretch in read_manifest(manifest).stretches:
        if stretch.until == stretch.after:
            continue
        read = logs_pb2.ReadLogRequest(
            domain=stretch.domain,
            agent=stretch.agent,
            after=stretch.after,
            until=stretch.until,
            selection=selection,
        )
        for piece in client.logs.ReadLog(read):
            found += [piece.leaves, *piece.records]
    return [line + b"\n" for line in found]


def verified(plane: Plane, **wanted: object) -> ExportVerdict:
    return verify_export(lines(auditor(plane), **wanted), latest=True)


def test_logs_are_listed_with_how_far_they_are(filled: Plane) -> None:
    bookings, fleet = auditor(filled).logs.ListLogs(logs_pb2.ListLogsRequest()).logs
    assert (bookings.domain, bookings.agent) == ("bookings", "bookings-1")
    assert (bookings.stored_size, bookings.witnessed_size, bookings.verified_size) == (21, 20, 20)
    assert (bookings.unfinished_reads, bookings.problem, bookings.connected) == (1, "", False)
    assert bookings.public_key == BOOKINGS.public_key
    assert open_checkpoint(bookings.checkpoint, bookings.public_key).size == 20
    assert (fleet.stored_size, fleet.verified_size, fleet.unfinished_reads) == (4, 4, 0)


def test_everybody_sees_the_logs_of_their_domains(filled: Plane) -> None:
    def seen(*duties: str) -> list[str]:
        client = filled.user("olga", duties=duties)
        return [one.domain for one in client.logs.ListLogs(logs_pb2.ListLogsRequest()).logs]

    assert seen() == []
    assert seen("owner:fleet") == ["fleet"]
    assert seen("security") == ["bookings", "fleet"]
    owner = filled.user("olga", duties=("owner:fleet",))
    read = logs_pb2.ReadLogRequest(domain="fleet", agent="fleet-1")
    assert isinstance(error_of(lambda: list(owner.logs.ReadLog(read))), DutyMissing)
    request = logs_pb2.SignManifestRequest()
    assert isinstance(error_of(lambda: owner.logs.SignManifest(request)), DutyMissing)


def test_an_auditor_reads_all_and_all_of_it_fits(filled: Plane) -> None:
    verdict = verified(filled)
    assert verdict.first is None
    assert [(one.records, one.proven) for one in verdict.logs] == [(21, 20), (4, 4)]
    assert verdict.logs[0].remarks == ("1 record at the end not signed for yet",)


def test_records_outside_of_a_window_come_as_hashes(filled: Plane) -> None:
    now = filled.clock()
    since = verified(filled, since=to_timestamp(now - timedelta(minutes=1)))
    assert since.first is None
    assert [one.records for one in since.logs] == [11, 4]
    before = verified(filled, before=to_timestamp(now - timedelta(minutes=1)))
    assert before.first is None
    assert [(one.records, one.stretch.after, one.stretch.until) for one in before.logs] == [
        (10, 0, 21),
        (0, 4, 4),
    ]
    nothing = verified(filled, since=to_timestamp(now + timedelta(days=1)))
    assert nothing.first is None
    assert [one.records for one in nothing.logs] == [0, 0]


def test_one_log_or_one_domain_is_read_alone(filled: Plane) -> None:
    for wanted in ({"domain": "fleet"}, {"domain": "fleet", "agent": "fleet-1"}):
        verdict = verified(filled, **wanted)
        assert verdict.first is None
        assert [one.stretch.name for one in verdict.logs] == ["fleet/fleet-1"]
    client = auditor(filled)
    for odd in ({"domain": "nobody"}, {"agent": "bookings-9"}):
        assert isinstance(error_of(lambda wanted=odd: lines(client, **wanted)), AgentNotFound)  # type: ignore[misc]
    unknown = logs_pb2.ReadLogRequest(domain="fleet", agent="none")
    assert isinstance(error_of(lambda: list(client.logs.ReadLog(unknown))), AgentNotFound)
    for after, until in ((-1, 0), (3, 2)):
        request = logs_pb2.ReadLogRequest(domain="fleet", agent="fleet-1", after=after, until=until)
        wrong = error_of(lambda asked=request: list(client.logs.ReadLog(asked)))  # type: ignore[misc]
        assert isinstance(wrong, RequestInvalid)
    for wanted in ({"domain": "A b"}, {"agent": "A b"}):
        assert isinstance(error_of(lambda w=wanted: lines(client, **w)), RequestInvalid)  # type: ignore[misc]


def test_large_records_come_in_messages_of_a_megabyte(plane: Plane) -> None:
    large = log("bookings/bookings-1", 4, "x" * 400_000)
    agent = enrolled(plane, large)
    for at in range(4):
        append(agent, large, at, at + 1)
    sign(agent, large, 4)
    request = logs_pb2.ReadLogRequest(domain="bookings", agent="bookings-1")
    pieces = list(auditor(plane).logs.ReadLog(request))
    assert [len(piece.records) for piece in pieces] == [1, 1, 1, 1]
    assert max(piece.ByteSize() for piece in pieces) < 1024 * 1024
    assert verified(plane).first is None


TAMPERED = {
    "edited": (
        "UPDATE usage_event SET document = CAST(replace(CAST(document AS TEXT), 'SELECT 7\"',"
        " 'SELECT 8\"') AS BLOB) WHERE domain = 'bookings' AND sequence = 7",
        (Wrong.RECORD, 7, 7),
    ),
    "deleted": (
        "DELETE FROM usage_event WHERE domain = 'bookings' AND sequence = 12",
        (Wrong.RECORD, 12, 12),
    ),
    "truncated": (
        "DELETE FROM usage_event WHERE domain = 'bookings' AND sequence > 15",
        (Wrong.MISSING, 16, 16),
    ),
    "swapped": (
        "UPDATE usage_event SET document = (SELECT document FROM usage_event AS other"
        " WHERE other.domain = 'bookings' AND other.sequence = 5)"
        " WHERE domain = 'bookings' AND sequence = 4",
        (Wrong.RECORD, 4, 4),
    ),
    "tree": (
        "UPDATE log_tile SET hashes = zeroblob(length(hashes)) WHERE domain = 'bookings'",
        (Wrong.RECORD, 1, 1),
    ),
    "tree-gone": ("DELETE FROM log_tile WHERE domain = 'bookings'", (Wrong.RECORD, 1, 1)),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_what_is_changed_in_the_database_is_found_and_named(filled: Plane, how: str) -> None:
    statement, expected = TAMPERED[how]
    change(filled, statement)
    bookings, fleet = verified(filled).logs
    assert bookings.finding is not None
    found = bookings.finding
    assert (found.wrong, found.first, found.last) == expected
    assert fleet.finding is None
    assert fleet.proven == 4


def test_a_record_changed_with_its_hash_is_within_its_checkpoints(filled: Plane) -> None:
    other = BOOKINGS.records[14].replace(b"SELECT 15", b"SELECT 51")
    with sqlite3.connect(filled.state / "control.db") as connection:
        connection.execute(
            "UPDATE usage_event SET document = ? WHERE domain = 'bookings' AND sequence = 15",
            (other,),
        )
        (hashes,) = connection.execute(
            "SELECT hashes FROM log_tile WHERE domain = 'bookings' AND height = 0"
        ).fetchone()
        hashes = hashes[: 14 * 32] + leaf_hash(other) + hashes[15 * 32 :]
        connection.execute("UPDATE log_tile SET hashes = ? WHERE domain = 'bookings'", (hashes,))
    connection.close()
    found = verified(filled).logs[0].finding
    assert found is not None
    assert (found.wrong, found.first, found.last) == (Wrong.FORK, 11, 20)


def test_a_fork_is_told_in_the_list_the_timeline_and_every_export(plane: Plane) -> None:
    agent = enrolled(plane, BOOKINGS)
    append(agent, BOOKINGS, 0, 21)
    fork = log("bookings/bookings-1", 21, " of the other story")
    sign(agent, fork, 20)
    (listed,) = auditor(plane).logs.ListLogs(logs_pb2.ListLogsRequest()).logs
    assert "signed for 20 records that are not" in listed.problem
    entries = auditor(plane).audit.ListEntries(audit_pb2.ListEntriesRequest(kind="change"))
    assert "evidence.forked" in [entry.action for entry in entries.entries]
    (verdict,) = verified(plane).logs
    assert verdict.finding is not None
    assert verdict.finding.wrong is Wrong.FORK
    append(agent, BOOKINGS, 21, 30)


def test_a_receipt_is_proven_to_who_may_see_it(filled: Plane) -> None:
    receipt = "bookings/bookings-1-7"
    proven = auditor(filled).logs.ProveReceipt(logs_pb2.ProveReceiptRequest(id=receipt))
    assert [record.sequence for record in proven.records] == [7, 8]
    checkpoint = open_checkpoint(proven.checkpoint, BOOKINGS.public_key)
    assert proven.public_key == BOOKINGS.public_key
    assert checkpoint.size == 10
    for record in proven.records:
        assert record.record == BOOKINGS.records[record.sequence - 1]
        leaf, path = leaf_hash(record.record), list(record.path)
        root = root_of_inclusion(leaf, record.sequence - 1, checkpoint.size, path)
        assert root == checkpoint.root
    hidden = filled.user("eve").logs
    request = logs_pb2.ProveReceiptRequest(id=receipt)
    assert isinstance(error_of(lambda: hidden.ProveReceipt(request)), ReceiptNotFound)


def test_a_receipt_that_is_not_signed_for_is_not_proven_yet(filled: Plane) -> None:
    request = logs_pb2.ProveReceiptRequest(id="bookings/bookings-1-21")
    error = error_of(lambda: auditor(filled).logs.ProveReceipt(request))
    assert isinstance(error, EvidenceUnsigned)
    assert error.metadata["receipt"] == request.id


def test_readers_are_admitted_by_number_and_leave_room_behind(plane: Plane) -> None:
    large = log("bookings/bookings-1", 40, "x" * 200_000)
    agent = enrolled(plane, large)
    for at in range(0, 40, 4):
        append(agent, large, at, at + 4)
    client = auditor(plane)
    request = logs_pb2.ReadLogRequest(domain="bookings", agent="bookings-1")
    held = [client.logs.ReadLog(request) for _ in range(2)]
    for stream in held:
        next(stream)
    refused = error_of(lambda: list(client.logs.ReadLog(request)))
    assert isinstance(refused, ControlOverloaded)
    held[0].cancel()
    eventually(lambda: plane.calls("ReadLog") == 1)
    held[1].cancel()
    eventually(lambda: plane.calls("ReadLog") == 0)
    assert len(list(client.logs.ReadLog(request))) == 20


def test_a_read_ends_with_its_token(plane: Plane) -> None:
    large = log("bookings/bookings-1", 40, "x" * 200_000)
    agent = enrolled(plane, large)
    for at in range(0, 40, 4):
        append(agent, large, at, at + 4)
    stream = auditor(plane).logs.ReadLog(
        logs_pb2.ReadLogRequest(domain="bookings", agent="bookings-1")
    )
    next(stream)
    plane.clock.ahead = timedelta(hours=2)
    ended = error_of(lambda: list(stream))
    assert isinstance(ended, TokenExpired)
    assert "read on after record" in ended.message
