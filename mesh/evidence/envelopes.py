"""DSSE envelopes in JSON, a line each, in one form: another line that says the same is refused."""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from mesh.evidence.canonical import canonical
from mesh.snapshots.envelope import pre_authentication_encoding

Sign = Callable[[bytes], bytes]
# As much as one gRPC message may have: every line of an export came in one.
MAX_LINE = 4 * 1024 * 1024


class EnvelopeInvalid(ValueError):
    """A line is no envelope of its type, or not signed by the key that it must be signed by."""


@dataclass(frozen=True, slots=True)
class Line:
    """What an envelope carries, its signature not yet checked."""

    kind: str
    payload: bytes
    key_id: str
    signature: bytes

    def encoded(self) -> bytes:
        """The envelope as one line of canonical JSON, without its end."""
        signature = {"keyid": self.key_id, "sig": encode_bytes(self.signature)}
        payload = encode_bytes(self.payload)
        return canonical({"payload": payload, "payloadType": self.kind, "signatures": [signature]})

    def check(self, key: bytes) -> None:
        """Raises EnvelopeInvalid unless this key (Ed25519, 32 bytes) signed it."""
        signed = pre_authentication_encoding(self.kind, self.payload)
        try:
            Ed25519PublicKey.from_public_bytes(key).verify(self.signature, signed)
        except (InvalidSignature, ValueError) as error:
            raise EnvelopeInvalid("its signature does not fit what it says") from error
        if self.key_id != fingerprint(key):
            raise EnvelopeInvalid("it names another key than the one that signed it")


def signed_line(kind: str, document: object, key: bytes, sign: Sign) -> bytes:
    """A document, signed with the private part of `key`, as a line without its end."""
    payload = canonical(document)
    signature = sign(pre_authentication_encoding(kind, payload))
    return Line(kind, payload, fingerprint(key), signature).encoded()


def read_line(line: bytes, kind: str) -> Line:
    """The envelope of that type, its signature not yet checked. Raises EnvelopeInvalid."""
    if len(line) > MAX_LINE:
        raise EnvelopeInvalid(f"it is longer than the {MAX_LINE:,} bytes that a line may have")
    try:
        document = json.loads(line)
        (signed,) = document["signatures"]
        payload, signature = decode_bytes(document["payload"]), decode_bytes(signed["sig"])
        read = Line(kind, payload, str(signed["keyid"]), signature)
        same = read.encoded() == line
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
        raise EnvelopeInvalid("it is no signed envelope") from error
    if not same:
        raise EnvelopeInvalid(f"it is no envelope of {kind} in its one form")
    return read


def is_envelope(line: bytes) -> bool:
    """Whether a line of an export is meant to be an envelope, and is no record."""
    return line.startswith(b'{"payload":')


def fingerprint(key: bytes) -> str:
    """A public key's SHA-256, in hexadecimal: what people compare."""
    return hashlib.sha256(key).hexdigest()


def encode_bytes(data: bytes) -> str:
    """Base64."""
    return base64.b64encode(data).decode()


def decode_bytes(text: object) -> bytes:
    """The bytes of base64. Raises ValueError."""
    if not isinstance(text, str):
        raise ValueError("bytes are base64 in a string")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("a string is no base64") from error
