"""Principals' keys on their way from the agent to the control plane, and as it keeps them.

HPKE (RFC 9180), base mode: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. The agent's
source is bound in as the info, so that a wrapped key can't be passed off as another agent's.
"""

import base64
import binascii
import json

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from mesh.evidence.canonical import canonical
from mesh.evidence.sealing import KEY_BYTES, PrincipalKey

_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
_INFO = "mesh principal key "
MAX_WRAPPED = 1_500
_MAX_TEXT = 200


class WrappingBroken(Exception):
    """A wrapped key does not open: it is of another agent, for another reader, or changed."""


def wrap(key: PrincipalKey, source: str, reader: bytes) -> bytes:
    """The key, for whoever holds the private key of `reader` (X25519, 32 bytes)."""
    document = {
        "id": key.id,
        "principal": key.principal,
        "quarter": key.quarter,
        "secret": base64.b64encode(key.secret).decode(),
    }
    public = X25519PublicKey.from_public_bytes(reader)
    return _SUITE.encrypt(canonical(document), public, info=(_INFO + source).encode())


def unwrap(wrapped: bytes, source: str, private: X25519PrivateKey) -> PrincipalKey:
    """The key. Raises WrappingBroken."""
    try:
        opened = _SUITE.decrypt(wrapped, private, info=(_INFO + source).encode())
        fields = json.loads(opened)
        texts = [fields[name] for name in ("id", "principal", "quarter", "secret")]
        if not all(isinstance(text, str) and _fits(text) for text in texts):
            raise WrappingBroken("the wrapped key's fields are no short texts")
        secret = base64.b64decode(texts[3], validate=True)
        key = PrincipalKey(texts[0], texts[1], texts[2], secret)
    except (InvalidTag, binascii.Error, KeyError, TypeError, ValueError) as error:
        raise WrappingBroken("the wrapped key does not open") from error
    if len(secret) != KEY_BYTES:
        raise WrappingBroken(f"the wrapped key is not one of {KEY_BYTES} bytes")
    return key


def _fits(text: str) -> bool:
    return len(text) <= _MAX_TEXT and text.isprintable()
