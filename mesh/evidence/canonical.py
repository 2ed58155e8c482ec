"""Canonical JSON (RFC 8785): how decisions and events are compared, stored and hashed."""

import hashlib
from typing import cast

import rfc8785


def canonical(document: object) -> bytes:
    """The canonical bytes. Raises rfc8785.CanonicalizationError for what JSON can't hold."""
    return rfc8785.dumps(cast("dict[str, rfc8785._impl._Value]", document))


def digest(document: object) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(canonical(document)).hexdigest()
