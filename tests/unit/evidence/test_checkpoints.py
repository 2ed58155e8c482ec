"""Checkpoints are signed notes that no other text or key can stand for."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from mesh.evidence.checkpoints import (
    Checkpoint,
    CheckpointInvalid,
    open_checkpoint,
    read_checkpoint,
    sign_checkpoint,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"\x07" * 32)
PUBLIC = KEY.public_key().public_bytes_raw()
CHECKPOINT = Checkpoint(
    "bookings", "bookings-1", 12, b"\x05" * 32, datetime(2026, 11, 25, 2, 3, 4, 5, tzinfo=UTC)
)
NOTE = sign_checkpoint(CHECKPOINT, PUBLIC, KEY.sign)


def test_a_signed_checkpoint_opens_with_its_key() -> None:
    assert open_checkpoint(NOTE, PUBLIC) == read_checkpoint(NOTE) == CHECKPOINT


def test_the_text_is_the_one_of_the_standard() -> None:
    assert NOTE.splitlines()[:4] == [
        "meshwarden/agents/bookings/bookings-1",
        "12",
        "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQU=",
        "time 2026-11-25T02:03:04.000005Z",
    ]
    assert NOTE.splitlines()[5].startswith("— meshwarden/agents/bookings/bookings-1 ")


def test_another_key_opens_nothing() -> None:
    other = Ed25519PrivateKey.generate().public_key().public_bytes_raw()
    with pytest.raises(CheckpointInvalid, match="did not sign"):
        open_checkpoint(NOTE, other)


@given(st.integers(0, len(NOTE) - 1), st.characters(codec="utf-8"))
def test_no_changed_character_passes(place: int, character: str) -> None:
    changed = NOTE[:place] + character + NOTE[place + 1 :]
    if changed == NOTE:
        return
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(changed, PUBLIC)


@given(st.text(max_size=200))
def test_other_text_is_no_checkpoint(text: str) -> None:
    for note in (text, NOTE + text, text + NOTE):
        if note != NOTE:
            with pytest.raises(CheckpointInvalid):
                open_checkpoint(note, PUBLIC)


@pytest.mark.parametrize(
    "changed",
    [
        NOTE.replace("\n12\n", "\n012\n"),
        NOTE.replace("\n12\n", "\n-1\n"),
        NOTE.replace("2026-11-25", "2026-13-25"),
        NOTE.replace("— meshwarden/agents/bookings/", "— meshwarden/agents/fleet/"),
        NOTE + "x" * 1000,
    ],
)
def test_an_odd_form_is_refused_even_unsigned(changed: str) -> None:
    with pytest.raises(CheckpointInvalid):
        read_checkpoint(changed)


def test_a_checkpoint_of_another_log_has_another_signature() -> None:
    other = replace(CHECKPOINT, domain="fleet")
    signed = sign_checkpoint(other, PUBLIC, KEY.sign)
    assert open_checkpoint(signed, PUBLIC) == other
    with pytest.raises(CheckpointInvalid):
        open_checkpoint(signed.replace("fleet", "bookings"), PUBLIC)
