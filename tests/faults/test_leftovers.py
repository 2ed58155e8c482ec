"""What a killed or failing process leaves is finished, not kept: secrets above all."""

import os
from pathlib import Path
from typing import cast
from unittest.mock import patch

import pytest

from domain_agent.control.link import load_or_make_key
from domain_agent.pseudonyms import PseudonymEndings, PseudonymKeys
from domain_agent.spool.files import Files
from domain_agent.worker.pool import WorkerPool
from mesh.agreements.values import Agreement, AgreementState
from mesh.errors import EvidenceUnavailable
from mesh.evidence.events import EventType
from tests.faults.disk import Failing, failing_disk
from tests.faults.evidence import NOW, Evidence, fields


def failing(kind: str, first: int, last: int) -> Failing:
    return Failing(lambda called, count: called == kind and first <= count <= last)


def on_disk(folder: Path, secret: bytes) -> list[str]:
    """The files that hold any of a key's secret."""
    return [
        path.name for path in (folder / "principals").iterdir() if secret[:6] in path.read_bytes()
    ]


def principal_secret(folder: Path) -> bytes:
    """The one key's secret, as files hold it."""
    (path,) = (folder / "principals").glob("*.json")
    return path.read_bytes().partition(b'"secret": "')[2][:44]


@pytest.mark.parametrize("step", ["fsync", "unlink"])
def test_a_key_half_destroyed_is_destroyed_at_the_next_start(
    tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    evidence = Evidence(tmp_path)
    evidence.keys.key("user:ana")
    (path,) = (tmp_path / "principals").glob("*.json")

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    owner: object = os if step == "fsync" else Path
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(owner, step, killed)
        evidence.keys.destroy("user:ana")
    assert path.exists()
    again = Evidence(tmp_path)
    assert not list((tmp_path / "principals").iterdir())
    assert again.keys.destroy("user:ana") == 0


def test_no_secret_is_left_beside_a_destroyed_key(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.keys.key("user:ana")
    secret = principal_secret(tmp_path)
    (key,) = evidence.keys.undelivered(1)
    with failing_disk(failing("rename", 1, 1)), pytest.raises(EvidenceUnavailable):
        evidence.keys.delivered([key.id])
    assert on_disk(tmp_path, secret)
    evidence.keys.destroy("user:ana")
    assert on_disk(tmp_path, secret) == []


def test_no_secret_is_left_of_a_key_that_never_was(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    with failing_disk(failing("rename", 1, 1)), pytest.raises(EvidenceUnavailable):
        evidence.keys.key("user:ana")
    assert not list((tmp_path / "principals").iterdir())


def test_a_key_whose_name_was_not_synced_is_not_kept_beside_the_next(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    with failing_disk(failing("fsync", 2, 2)), pytest.raises(EvidenceUnavailable):
        evidence.keys.key("user:ana")
    evidence.keys.key("user:ana")
    assert evidence.keys.destroy("user:ana") == 1
    assert not [path.name for path in (tmp_path / "principals").iterdir()]


def test_a_mark_half_made_is_gone_after_the_next_start(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    evidence.keys.key("user:ana")
    (key,) = evidence.keys.undelivered(1)
    for mark in ("logged", "delivered"):
        (tmp_path / "principals" / f"{key.id}.{mark}.new").write_bytes(b"")
    Evidence(tmp_path)
    names = {path.name for path in (tmp_path / "principals").iterdir()}
    assert names == {f"{key.id}.json", f"{key.id}.logged"}


def revoked_agreement() -> Agreement:
    return Agreement(
        "a1",
        "bookings",
        "bookings.reservations",
        "1.0.0",
        "user:ana",
        "analyst",
        "planning",
        ("passengers",),
        "",
        "user:ana",
        AgreementState.REVOKED,
        NOW,
        NOW,
    )


def test_a_pseudonym_key_that_stays_keeps_no_revocation_out_of_force(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    pseudonyms = PseudonymKeys(tmp_path / "pseudonyms", Files())
    ended = revoked_agreement()
    pseudonyms.key(ended.id)

    class Pool:
        def renew(self) -> None:
            pass

    endings = PseudonymEndings(pseudonyms, cast("WorkerPool", Pool()), evidence.events)
    with patch.object(Files, "destroy", side_effect=PermissionError):
        endings.apply([ended], NOW)
        endings.apply([ended], NOW)
    assert pseudonyms.held([ended.id]) == [ended.id]
    endings.apply([ended], NOW)
    assert pseudonyms.held([ended.id]) == []
    assert [event.type for event in evidence.everything()] == [EventType.PSEUDONYM_KEY_DESTROYED]


@pytest.mark.parametrize("call", ["write", "fsync", "close", "replace"])
def test_a_kill_while_the_agent_makes_its_key_does_not_end_its_next_start(
    tmp_path: Path, call: str
) -> None:
    path = tmp_path / "agent.key"

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    owner = Path if call == "replace" else os
    with patch.object(owner, call, killed), pytest.raises(KeyboardInterrupt):
        load_or_make_key(path, Files())
    made = load_or_make_key(path, Files()).private_bytes_raw()
    assert load_or_make_key(path, Files()).private_bytes_raw() == made
    assert path.stat().st_mode & 0o777 == 0o600
    assert [left.name for left in tmp_path.iterdir()] == ["agent.key"]


def test_an_end_that_is_owed_is_written_when_the_agent_is_tended(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    receipt = evidence.events.write(EventType.STARTED, fields(1))
    with failing_disk(failing("fsync", 1, 2)):
        with pytest.raises(EvidenceUnavailable):
            evidence.events.write(EventType.COMPLETED, fields(2), receipt=receipt)
        with pytest.raises(EvidenceUnavailable):
            evidence.events.write_owed()
    assert evidence.spool.unfinished() == [receipt]
    evidence.events.write_owed()
    assert evidence.spool.unfinished() == []
    evidence.events.write_owed()
    assert [event.type for event in evidence.everything()] == [
        EventType.STARTED,
        EventType.COMPLETED,
    ]


def test_an_end_that_could_not_be_written_comes_before_the_next_event(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    receipts = [evidence.events.write(EventType.STARTED, fields(number)) for number in range(3)]
    with failing_disk(failing("fsync", 1, 2)):
        for receipt, kind in zip(receipts, (EventType.COMPLETED, EventType.ABORTED), strict=False):
            with pytest.raises(EvidenceUnavailable):
                evidence.events.write(kind, fields(9), receipt=receipt)
    assert len(evidence.spool.unfinished()) == 3
    evidence.events.write(EventType.REFUSED, fields(4))
    told = [(event.receipt, event.type) for event in evidence.everything()[3:5]]
    assert told == [(receipts[0], EventType.COMPLETED), (receipts[1], EventType.ABORTED)]
    assert evidence.spool.unfinished() == receipts[2:]


def test_ends_that_failed_do_not_keep_segments_for_ever(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    for number in range(40):
        receipt = evidence.events.write(EventType.STARTED, fields(number))
        with failing_disk(failing("fsync", 1, 1)), pytest.raises(EvidenceUnavailable):
            evidence.events.write(EventType.COMPLETED, fields(number), receipt=receipt)
    evidence.events.write(EventType.REFUSED, fields(40))
    evidence.spool.acknowledge(evidence.spool.head.size)
    assert len(list((tmp_path / "spool").glob("*.log"))) == 1
