"""The control plane's own keys: made at the first start, mode 0600, the same in all replicas."""

import hashlib
import os
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from control_plane.settings import SettingsInvalid
from mesh.identity.tokens import ISSUER, TokenKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key with its id; `use` is `token` or `snapshot`."""

    id: str
    use: str
    private: Ed25519PrivateKey

    @property
    def public_bytes(self) -> bytes:
        """The public key, 32 bytes."""
        return self.private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that sign tokens and snapshots."""

    token: SigningKey
    snapshot: SigningKey

    @property
    def all(self) -> tuple[SigningKey, ...]:
        """Every key that others must trust."""
        return (self.snapshot, self.token)

    def token_key(self, key_id: str) -> TokenKey | None:
        """The public key of tokens that we issued."""
        if key_id != self.token.id:
            return None
        return TokenKey(self.token.id, ISSUER, self.token.public_bytes)


def open_key_ring(folder: Path) -> KeyRing:
    """The keys of a folder, made where they are missing. Raises SettingsInvalid."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return KeyRing(_open(folder, "token"), _open(folder, "snapshot"))
    except OSError as error:
        raise SettingsInvalid(f"the keys in {folder} can't be used: {error}") from error


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = path.with_suffix(path.suffix + ".partial")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _make(path: Path) -> None:
    """Make a key, unless another replica did at the same time."""
    made = Ed25519PrivateKey.generate()
    own = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        write_private(own, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink(missing_ok=True)


def _open(folder: Path, use: str) -> SigningKey:
    path = folder / f"{use}.key"
    if not path.exists():
        _make(path)
    try:
        private = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"{path} is no readable key in PEM: {error}") from error
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsInvalid(f"{path} is no Ed25519 key")
    public = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    return SigningKey(f"{use}-{hashlib.sha256(public).hexdigest()[:16]}", use, private)
