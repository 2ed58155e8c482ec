"""What is sealed opens with its key and its event only; what is wrapped, for its reader only."""

import base64
import os
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from mesh.evidence.canonical import canonical
from mesh.evidence.sealing import (
    PrincipalKey,
    SealBroken,
    key_id,
    quarter_of,
    seal,
    unseal,
)
from mesh.evidence.wrapping import WrappingBroken, unwrap, wrap

KEY = PrincipalKey("k1", "user:ana", "2026-Q4", b"\x01" * 32)
SOURCE = "/agents/bookings/bookings-1"
PERSONAL = {"principal": {"subject": "ana.unmistakable"}, "client": "192.0.2.77"}


def test_personal_fields_come_back_and_are_nowhere_in_the_data() -> None:
    data = seal("e1", {"purpose": "planning"}, PERSONAL, KEY, os.urandom)
    assert unseal("e1", data, KEY.secret) == PERSONAL
    assert (data["purpose"], key_id(data)) == ("planning", "k1")
    assert b"unmistakable" not in canonical(data)
    assert b"192.0.2.77" not in canonical(data)


def test_the_same_event_is_never_sealed_alike() -> None:
    sealed = [seal("e1", {}, PERSONAL, KEY, os.urandom) for _ in range(2)]
    assert sealed[0]["salt"] != sealed[1]["salt"]
    assert sealed[0]["personal"] != sealed[1]["personal"]


@pytest.mark.parametrize(
    ("event", "secret"), [("e2", KEY.secret), ("e1", b"\x02" * 32)], ids=["event", "key"]
)
def test_another_event_or_key_opens_nothing(event: str, secret: bytes) -> None:
    data = seal("e1", {}, PERSONAL, KEY, os.urandom)
    with pytest.raises(SealBroken):
        unseal(event, data, secret)


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_any_changed_bit_breaks_the_seal(place: int, bit: int) -> None:
    data = seal("e1", {}, PERSONAL, KEY, os.urandom)
    personal = data["personal"]
    assert isinstance(personal, dict)
    blob = bytearray(base64.b64decode(personal["sealed"]))
    blob[place % len(blob)] ^= 1 << bit
    personal["sealed"] = base64.b64encode(bytes(blob)).decode()
    with pytest.raises(SealBroken):
        unseal("e1", data, KEY.secret)


@pytest.mark.parametrize("data", [{}, {"personal": None}, {"personal": {"sealed": "%"}}])
def test_data_without_a_seal_opens_nothing(data: dict[str, object]) -> None:
    assert key_id(data) is None
    with pytest.raises(SealBroken):
        unseal("e1", data, KEY.secret)


def test_personal_fields_and_their_key_go_together() -> None:
    with pytest.raises(ValueError, match="together"):
        seal("e1", {}, PERSONAL, None, os.urandom)
    assert "personal" not in seal("e1", {"rows": 1}, None, None, os.urandom)


def test_a_quarter_is_named_by_its_year() -> None:
    months = [quarter_of(datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 3, 4, 9, 10, 12)]
    assert months == ["2026-Q1", "2026-Q1", "2026-Q2", "2026-Q3", "2026-Q4", "2026-Q4"]


def test_a_wrapped_key_opens_for_its_reader_and_of_its_agent_only() -> None:
    reader, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    wrapped = wrap(KEY, SOURCE, reader.public_key().public_bytes_raw())
    assert unwrap(wrapped, SOURCE, reader) == KEY
    assert KEY.secret not in wrapped
    for bytes_, source, private in (
        (wrapped, SOURCE, other),
        (wrapped, SOURCE + "2", reader),
        (wrapped[:-1], SOURCE, reader),
        (b"", SOURCE, reader),
    ):
        with pytest.raises(WrappingBroken):
            unwrap(bytes_, source, private)


def test_a_commitment_is_of_the_secret_alone() -> None:
    assert KEY.commitment == PrincipalKey("k2", "user:ben", "2026-Q1", KEY.secret).commitment
    assert KEY.commitment != PrincipalKey("k1", "user:ana", "2026-Q4", b"\x02" * 32).commitment
