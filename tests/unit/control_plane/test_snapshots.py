"""Entries and envelopes: what a signature covers, and what a digest tells apart."""

import hashlib
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import AgentSignatureInvalid
from mesh.snapshots.entries import (
    MAX_PART_BYTES,
    Difference,
    difference,
    entries_digest,
    parts,
)
from mesh.snapshots.envelope import pre_authentication_encoding, sign, verify
from mesh.v1 import agents_pb2
from mesh.wire.snapshots import entries_to_proto, envelope_from_proto, envelope_to_proto

KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
ENTRIES = st.dictionaries(st.text(max_size=12), st.binary(max_size=40), max_size=12)


def test_the_digest_is_what_the_wire_documents() -> None:
    hashed = hashlib.sha256()
    for key, value in ((b"a", b"1"), (b"b/c", b"")):
        hashed.update(len(key).to_bytes(8, "big") + key + hashlib.sha256(value).digest())
    assert entries_digest({"b/c": b"", "a": b"1"}) == hashed.digest()


@settings(deadline=None)
@given(ENTRIES, ENTRIES)
def test_only_equal_entries_have_the_same_digest(
    one: dict[str, bytes], two: dict[str, bytes]
) -> None:
    assert (entries_digest(one) == entries_digest(two)) == (one == two)


@settings(deadline=None)
@given(ENTRIES, ENTRIES)
def test_a_difference_leads_from_old_to_new_and_is_empty_for_equals(
    old: dict[str, bytes], new: dict[str, bytes]
) -> None:
    changed = difference(old, new)
    assert changed.apply(old) == new
    assert (changed == Difference({}, ())) == (old == new)


@settings(deadline=None)
@given(
    st.dictionaries(st.text(min_size=1, max_size=8), st.integers(0, 600_000).map(bytes), max_size=8)
)
def test_parts_hold_everything_in_order_and_fit_the_wire(entries: dict[str, bytes]) -> None:
    pieces = list(parts(entries))
    assert [key for piece in pieces for key in piece] == sorted(entries)
    for index, piece in enumerate(pieces):
        message = agents_pb2.SyncResponse(
            part=agents_pb2.SnapshotPart(index=index, entries=entries_to_proto(piece))
        )
        assert piece
        assert message.ByteSize() <= MAX_PART_BYTES + 64


def test_an_entry_that_fits_no_part_is_an_error() -> None:
    with pytest.raises(ValueError, match="big"):
        list(parts({"big": bytes(MAX_PART_BYTES)}))


def test_the_encoding_is_dsses() -> None:
    assert pre_authentication_encoding("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_a_signed_payload_is_believed_over_the_wire() -> None:
    envelope = sign(b"payload", "k1", KEY)
    sent = agents_pb2.SignedEnvelope.FromString(envelope_to_proto(envelope).SerializeToString())
    assert verify(envelope_from_proto(sent), {"k1": PUBLIC}) == b"payload"


@pytest.mark.parametrize(
    "change",
    [
        {"payload": b"Payload"},
        {"payload": b""},
        {"payload_type": "application/json"},
        {"key_id": "k2"},
        {"signature": b""},
        {"signature": bytes(64)},
    ],
    ids=str,
)
def test_anything_changed_is_not_believed(change: dict[str, object]) -> None:
    envelope = replace(sign(b"payload", "k1", KEY), **change)  # type: ignore[arg-type]
    with pytest.raises(AgentSignatureInvalid):
        verify(envelope, {"k1": PUBLIC})


def test_a_trusted_key_of_the_wrong_length_believes_nothing() -> None:
    with pytest.raises(AgentSignatureInvalid):
        verify(sign(b"payload", "k1", KEY), {"k1": b"short"})


@settings(deadline=None)
@given(st.binary(max_size=64), st.integers(0, 511))
def test_one_flipped_bit_of_the_signature_is_not_believed(payload: bytes, bit: int) -> None:
    envelope = sign(payload, "k1", KEY)
    flipped = bytearray(envelope.signature)
    flipped[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(AgentSignatureInvalid):
        verify(replace(envelope, signature=bytes(flipped)), {"k1": PUBLIC})
