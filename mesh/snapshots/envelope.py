"""DSSE envelopes: the signature covers the transmitted bytes, never a re-serialised message."""

from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from mesh.errors import AgentSignatureInvalid

SYNC_PAYLOAD_TYPE = "application/vnd.meshwarden.sync.v1"


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload with its signature (DSSE 1.0)."""

    payload_type: str
    payload: bytes
    key_id: str
    signature: bytes


def pre_authentication_encoding(payload_type: str, payload: bytes) -> bytes:
    """DSSE's PAE: what is signed, so that type and payload can't be told apart otherwise."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def sign(payload: bytes, key_id: str, key: Ed25519PrivateKey) -> Envelope:
    """The payload as a signed envelope of the sync payload type."""
    signature = key.sign(pre_authentication_encoding(SYNC_PAYLOAD_TYPE, payload))
    return Envelope(SYNC_PAYLOAD_TYPE, payload, key_id, signature)


def verify(envelope: Envelope, keys: Mapping[str, bytes]) -> bytes:
    """The payload, if a trusted key (raw 32 bytes, by id) signed it.

    Raises AgentSignatureInvalid for another type, an unknown key or a wrong signature.
    """
    if envelope.payload_type != SYNC_PAYLOAD_TYPE:
        raise AgentSignatureInvalid(
            f"the envelope's type is {envelope.payload_type!r}; only {SYNC_PAYLOAD_TYPE} is taken"
        )
    public = keys.get(envelope.key_id)
    if public is None:
        raise AgentSignatureInvalid(
            f"the envelope is signed by {envelope.key_id!r}, which is no trusted snapshot key"
        )
    signed = pre_authentication_encoding(envelope.payload_type, envelope.payload)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(envelope.signature, signed)
    except (InvalidSignature, ValueError) as error:
        raise AgentSignatureInvalid(
            f"the envelope's signature does not fit the key {envelope.key_id!r}"
        ) from error
    return envelope.payload
