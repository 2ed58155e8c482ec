"""Personal fields of an event as one encrypted field, so that destroying a key erases a person.

AES-256-GCM with a random nonce; the event's id is authenticated with it, so a sealed field can't
be moved to another event. One key is used for far fewer than the 2**32 events that random nonces
allow (NIST SP 800-38D, 8.3).
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mesh.evidence.canonical import canonical, joined

KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
PERSONAL = "personal"
SALT = "salt"


class SealBroken(Exception):
    """A sealed field does not open with its key: one of the two is not what it was."""


@dataclass(frozen=True, slots=True)
class PrincipalKey:
    """The key of one principal's personal fields, for one quarter of a year (`2026-Q4`)."""

    id: str
    principal: str
    quarter: str
    secret: bytes

    @property
    def commitment(self) -> str:
        """A hash that binds the log to the key and tells nothing of it, as the key is random."""
        return hashlib.sha256(b"mesh principal key\x00" + self.secret).hexdigest()


def quarter_of(instant: datetime) -> str:
    """The quarter that an instant lies in: `2026-Q4`."""
    return f"{instant.year}-Q{(instant.month + 2) // 3}"


@dataclass(frozen=True, slots=True)
class Personal:
    """Fields that name a person or tell of one, in canonical JSON, and the key to seal them."""

    fields: bytes
    key: PrincipalKey


def seal(
    event_id: str,
    fields: Mapping[str, bytes],
    personal: Personal | None,
    random: Callable[[int], bytes],
) -> bytes:
    """An event's data in canonical JSON: its open fields, a salt, and the personal ones encrypted.

    The values of `fields` are in canonical JSON already.
    """
    data = {**fields, SALT: _quoted(random(SALT_BYTES))}
    if personal is not None:
        nonce, key = random(NONCE_BYTES), personal.key
        sealed = AESGCM(key.secret).encrypt(nonce, personal.fields, event_id.encode())
        data[PERSONAL] = joined({"key": canonical(key.id), "sealed": _quoted(nonce + sealed)})
    return joined(data)


def key_id(data: Mapping[str, object]) -> str | None:
    """The key that an event's personal fields are sealed with; None when it has none."""
    personal = data.get(PERSONAL)
    if not isinstance(personal, Mapping):
        return None
    found = personal.get("key")
    return found if isinstance(found, str) else None


def unseal(event_id: str, data: Mapping[str, object], secret: bytes) -> dict[str, object]:
    """The personal fields. Raises SealBroken when key, event and field don't belong together."""
    personal = data.get(PERSONAL)
    sealed = personal.get("sealed") if isinstance(personal, Mapping) else None
    try:
        blob = base64.b64decode(sealed if isinstance(sealed, str) else "", validate=True)
        opened = AESGCM(secret).decrypt(blob[:NONCE_BYTES], blob[NONCE_BYTES:], event_id.encode())
        fields = json.loads(opened)
    except (binascii.Error, InvalidTag, ValueError) as error:
        raise SealBroken(f"the personal fields of event {event_id} do not open") from error
    if not isinstance(fields, dict):
        raise SealBroken(f"the personal fields of event {event_id} are no object")
    return fields


def _quoted(data: bytes) -> bytes:
    """Bytes as a JSON text, in base64."""
    return b'"%b"' % base64.b64encode(data)
