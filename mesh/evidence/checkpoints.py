"""Signed checkpoints of a log: C2SP tlog-checkpoint in a signed note, with Ed25519.

The text is what other tools for transparency logs read: origin, size, root, one line with the
time, an empty line, and the signature line.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.evidence.events import agent_source
from mesh.evidence.merkle import HASH_BYTES
from mesh.times import parse_rfc3339, rfc3339_micros

MAX_NOTE = 1_000
_ORIGIN_HOST = "meshwarden"
_NOTE = re.compile(
    rf"{_ORIGIN_HOST}/agents/([a-z0-9_-]+)/([a-z0-9-]+)\n"
    r"(0|[1-9][0-9]{0,17})\n"
    r"([A-Za-z0-9+/]{43}=)\n"
    r"time ([0-9T:.-]{26}Z)\n"
)
_SIGNATURE = re.compile(r"— (\S+) ([A-Za-z0-9+/]+={0,2})\n")


class CheckpointInvalid(ValueError):
    """The text is no checkpoint, or its signature is not its agent's."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An agent's word that the first `size` records of its log have this root."""

    domain: str
    agent: str
    size: int
    root: bytes
    time: datetime

    @property
    def source(self) -> str:
        """The CloudEvents source of the log's events."""
        return agent_source(self.domain, self.agent)

    @property
    def origin(self) -> str:
        """The log's name in its notes, and that of the key that signs them."""
        return _ORIGIN_HOST + self.source

    @property
    def body(self) -> str:
        """The signed text."""
        root = base64.b64encode(self.root).decode()
        return f"{self.origin}\n{self.size}\n{root}\ntime {rfc3339_micros(self.time)}\n"


def sign_checkpoint(
    checkpoint: Checkpoint, public_key: bytes, sign: Callable[[bytes], bytes]
) -> str:
    """The note: body, empty line, signature line."""
    signature = _key_hash(checkpoint.origin, public_key) + sign(checkpoint.body.encode())
    encoded = base64.b64encode(signature).decode()
    return f"{checkpoint.body}\n— {checkpoint.origin} {encoded}\n"


def read_checkpoint(note: str) -> Checkpoint:
    """What a note says, without checking its signature. Raises CheckpointInvalid."""
    body, _, _ = _parts(note)
    return body


def open_checkpoint(note: str, public_key: bytes) -> Checkpoint:
    """What a note says, signed by this key (32 bytes). Raises CheckpointInvalid."""
    checkpoint, signature, key_hash = _parts(note)
    if key_hash != _key_hash(checkpoint.origin, public_key):
        raise CheckpointInvalid(f"{checkpoint.source} did not sign this with the key it has")
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, checkpoint.body.encode())
    except InvalidSignature:
        raise CheckpointInvalid(f"the signature of {checkpoint.source} is wrong") from None
    return checkpoint


def _parts(note: str) -> tuple[Checkpoint, bytes, bytes]:
    if len(note) > MAX_NOTE:
        raise CheckpointInvalid(f"a checkpoint has at most {MAX_NOTE} characters")
    body, _, signatures = note.partition("\n\n")
    said, signed = _NOTE.fullmatch(body + "\n"), _SIGNATURE.fullmatch(signatures)
    if said is None or signed is None:
        raise CheckpointInvalid("the text is no checkpoint of an agent's log")
    domain, agent, size, root, time = said.groups()
    try:
        decoded = base64.b64decode(signed.group(2), validate=True)
        checkpoint = Checkpoint(
            domain, agent, int(size), base64.b64decode(root, validate=True), parse_rfc3339(time)
        )
    except (binascii.Error, ValueError) as error:
        raise CheckpointInvalid(f"the checkpoint can't be read: {error}") from error
    # A note that another text would say as well could be signed under one and shown as another.
    if checkpoint.body != body + "\n" or len(checkpoint.root) != HASH_BYTES:
        raise CheckpointInvalid("the checkpoint is not in its one canonical form")
    if signed.group(1) != checkpoint.origin:
        raise CheckpointInvalid(f"signed as {signed.group(1)}, not as {checkpoint.origin}")
    return checkpoint, decoded[4:], decoded[:4]


def _key_hash(name: str, public_key: bytes) -> bytes:
    """The key's id in a signed note: C2SP signed-note, signature type 0x01 (Ed25519)."""
    return hashlib.sha256(name.encode() + b"\n\x01" + public_key).digest()[:4]
