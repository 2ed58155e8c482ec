"""What the agent takes from the control plane: signed, whole, meant for it, never older."""

from datetime import timedelta

import pytest

from domain_agent.snapshot.receiver import Received, Receiver
from mesh.contracts.values import Classification
from mesh.errors import (
    AgentDigestMismatch,
    AgentRevisionStale,
    AgentSignatureInvalid,
    MeshError,
)
from mesh.snapshots.envelope import sign
from mesh.v1 import agents_pb2
from mesh.wire.snapshots import envelope_to_proto
from tests.unit.snapshot.scenes import DOMAIN, NOW, Signer, entries


def feed(receiver: Receiver, messages: list[agents_pb2.SyncResponse]) -> Received | None:
    received = None
    for message in messages:
        received = receiver.feed(message)
    return received


def receiver(signer: Signer, highest: int = 0) -> Receiver:
    return Receiver(DOMAIN, signer.keys, highest)


def test_a_snapshot_in_parts_is_taken_whole() -> None:
    signer = Signer()
    content = entries(**{f"purpose{n}": "x" * 300_000 for n in range(5)})
    messages = signer.snapshot(7, content)
    assert len(messages) > 2
    received = feed(receiver(signer), messages)
    assert received is not None
    assert received.snapshot is not None
    assert received.snapshot.revision == 7
    assert dict(received.snapshot.entries) == content


def test_a_delta_continues_a_snapshot_and_both_replay_from_disk() -> None:
    signer = Signer()
    old, new = entries(a="1", b="2"), entries(b="3", c="4")
    live = receiver(signer)
    feed(live, signer.snapshot(1, old))
    received = live.feed(signer.delta(1, 2, old, new))
    assert received is not None
    assert received.snapshot is not None
    assert received.snapshot.purposes == {"b", "c"}
    assert received.stored is not None
    kept = agents_pb2.StoredSnapshot.FromString(received.stored.SerializeToString())
    again = receiver(signer).replay(kept)
    assert again is not None
    assert again.snapshot is not None
    assert again.snapshot.digest == received.snapshot.digest


def refuses(
    error: type[MeshError], held: Receiver, messages: list[agents_pb2.SyncResponse]
) -> None:
    with pytest.raises(error):
        feed(held, messages)


def test_an_unknown_key_is_refused() -> None:
    refuses(AgentSignatureInvalid, receiver(Signer()), Signer().snapshot(1, entries()))


def test_another_domains_snapshot_is_refused() -> None:
    signer = Signer(domain="fleet")
    refuses(AgentSignatureInvalid, receiver(signer), signer.snapshot(1, entries()))


def test_what_is_signed_and_no_message_is_refused() -> None:
    signer = Signer()
    envelope = envelope_to_proto(sign(b"\xff\xff\xff", "snap-1", signer.key))
    message = agents_pb2.SyncResponse(signed=envelope)
    refuses(AgentDigestMismatch, receiver(signer), [message])


def test_a_changed_payload_is_refused() -> None:
    signer = Signer()
    messages = signer.snapshot(1, entries(a="1"))
    payload = bytearray(messages[0].signed.payload)
    payload[-1] ^= 1
    messages[0].signed.payload = bytes(payload)
    refuses(AgentSignatureInvalid, receiver(signer), messages)


def test_a_changed_part_is_refused() -> None:
    signer = Signer()
    messages = signer.snapshot(1, entries(a="1"))
    messages[1].part.entries[1].value = b"2"
    refuses(AgentDigestMismatch, receiver(signer), messages)


def test_a_missing_or_repeated_part_is_refused() -> None:
    signer = Signer()
    content = entries(**{f"purpose{n}": "x" * 300_000 for n in range(5)})
    header, first, second, *_ = signer.snapshot(1, content)
    refuses(AgentDigestMismatch, receiver(signer), [header, second])
    refuses(AgentDigestMismatch, receiver(signer), [header, first, first])


def test_a_revision_below_the_acknowledged_one_is_refused() -> None:
    signer = Signer()
    refuses(AgentRevisionStale, receiver(signer, highest=5), signer.snapshot(4, entries()))


def test_a_delta_that_skips_a_revision_is_refused() -> None:
    signer = Signer()
    held = receiver(signer)
    feed(held, signer.snapshot(1, entries(a="1")))
    skipping = signer.delta(2, 3, entries(a="1"), entries(a="2"))
    refuses(AgentDigestMismatch, held, [skipping])


def test_a_delta_before_any_snapshot_is_refused() -> None:
    signer = Signer()
    refuses(AgentDigestMismatch, receiver(signer), [signer.delta(0, 1, {}, entries())])


def test_entries_without_a_policy_are_refused() -> None:
    signer = Signer()
    refuses(AgentDigestMismatch, receiver(signer), signer.snapshot(1, {"purpose/a": b""}))


def test_an_entry_of_an_unknown_kind_is_refused() -> None:
    signer = Signer()
    content = {**entries(), "obligation/1": b"notify"}
    refuses(AgentDigestMismatch, receiver(signer), signer.snapshot(1, content))


def test_an_empty_message_is_refused() -> None:
    refuses(AgentDigestMismatch, receiver(Signer()), [agents_pb2.SyncResponse()])


def test_a_lease_for_a_newer_revision_does_not_extend_an_older_snapshot() -> None:
    signer = Signer()
    live = receiver(signer)
    old = feed(live, signer.snapshot(1, entries(a="1")))
    assert old is not None
    assert old.stored is not None
    later = NOW + timedelta(hours=1)
    for revision, extended in ((1, True), (2, False)):
        mixed = agents_pb2.StoredSnapshot()
        mixed.CopyFrom(old.stored)
        mixed.lease.CopyFrom(signer.signed(signer.payload(revision, later)).signed)
        replayed = receiver(signer).replay(mixed)
        assert replayed is not None
        assert (replayed.renewal.issued == later) is extended


def test_leases_for_another_revision_than_the_one_in_force_are_refused() -> None:
    signer = Signer()
    for before in ([], signer.snapshot(1, entries())):
        held = receiver(signer)
        feed(held, before)
        refuses(AgentDigestMismatch, held, [signer.signed(signer.payload(2))])


def test_each_class_has_the_lease_that_was_signed_and_no_other() -> None:
    signer = Signer()
    payload = signer.payload(1)
    payload.leases.Clear()
    payload.leases.internal.FromTimedelta(timedelta(hours=1))
    held = receiver(signer)
    feed(held, signer.snapshot(1, entries()))
    received = held.feed(signer.signed(payload))
    assert received is not None
    assert received.renewal.leases.lengths == {
        Classification.PUBLIC: timedelta(),
        Classification.INTERNAL: timedelta(hours=1),
        Classification.CONFIDENTIAL: timedelta(),
        Classification.RESTRICTED: timedelta(),
    }
    # Nothing is known of public, which is milder, so nothing stricter is served either.
    assert {received.renewal.leases[one] for one in Classification} == {timedelta()}


def test_what_the_agent_misses_nothing_of_is_at_least_what_it_has() -> None:
    signer = Signer()
    held = receiver(signer)
    received = feed(held, signer.snapshot(7, entries()))
    assert received is not None
    assert received.renewal.complete_revision == 7
    payload = signer.payload(7)
    payload.complete_revision = 9
    renewed = held.feed(signer.signed(payload))
    assert renewed is not None
    assert (renewed.renewal.complete_revision, renewed.snapshot) == (9, None)
