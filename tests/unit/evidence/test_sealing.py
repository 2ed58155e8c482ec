"""What is sealed opens with its key and its event only; what is wrapped, for its reader only."""

import base64
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from mesh.evidence.canonical import canonical, canonical_fields
from mesh.evidence.sealing import (
    Personal,
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
WHO = {"principal": {"subject": "ana.unmistakable"}, "client": "192.0.2.77"}


def sealed(fields: Mapping[str, object] | None = None) -> dict[str, object]:
    personal = Personal(canonical(WHO), KEY)
    data = json.loads(seal("e1", canonical_fields(fields or {}), personal, os.urandom))
    assert isinstance(data, dict)
    return data


def test_personal_fields_come_back_and_are_nowhere_in_the_data() -> None:
    data = sealed({"purpose": "planning"})
    assert unseal("e1", data, KEY.secret) == WHO
    assert (data["purpose"], key_id(data)) == ("planning", "k1")
    assert b"unmistakable" not in canonical(data)
    assert b"192.0.2.77" not in canonical(data)


def test_the_same_event_is_never_sealed_alike() -> None:
    twice = [sealed() for _ in range(2)]
    assert twice[0]["salt"] != twice[1]["salt"]
    assert twice[0]["personal"] != twice[1]["personal"]


@pytest.mark.parametrize(
    ("event", "secret"), [("e2", KEY.secret), ("e1", b"\x02" * 32)], ids=["event", "key"]
)
def test_another_event_or_key_opens_nothing(event: str, secret: bytes) -> None:
    data = sealed()
    with pytest.raises(SealBroken):
        unseal(event, data, secret)


@given(st.integers(0, 10**6), st.integers(0, 7))
def test_any_changed_bit_breaks_the_seal(place: int, bit: int) -> None:
    data = sealed()
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


def test_an_event_without_personal_fields_has_a_salt_and_no_seal() -> None:
    data = json.loads(seal("e1", canonical_fields({"rows": 1}), None, os.urandom))
    assert data.keys() == {"rows", "salt"}


@given(st.dictionaries(st.sampled_from("abcxyz"), st.text() | st.integers(0, 9)))
def test_sealed_data_is_canonical(fields: dict[str, object]) -> None:
    data = seal("e1", canonical_fields(fields), Personal(canonical(WHO), KEY), os.urandom)
    assert canonical(json.loads(data)) == data


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
