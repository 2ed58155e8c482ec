"""The control plane's own keys: made at the first start, mode 0600, the same in all replicas."""

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from control_plane.settings import SettingsInvalid
from mesh.identity.tokens import ISSUER, TokenKey

_Private: TypeAlias = Ed25519PrivateKey | X25519PrivateKey | EllipticCurvePrivateKey


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
class WrappingKey:
    """The key that agents wrap principals' keys to; its use is `evidence`."""

    id: str
    private: X25519PrivateKey
    use: str = "evidence"

    @property
    def public_bytes(self) -> bytes:
        """The public key, 32 bytes."""
        return self.private.public_key().public_bytes_raw()


@dataclass(frozen=True, slots=True)
class BundleKey:
    """The key that signs bundles for OPA, which verifies no Ed25519: on the curve P-256."""

    id: str
    private: EllipticCurvePrivateKey
    use: str = "bundle"

    @property
    def public_pem(self) -> str:
        """The public key as OPA's configuration takes it."""
        public = self.private.public_key()
        return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The keys that sign tokens and snapshots, and the one that opens principals' keys."""

    token: SigningKey
    snapshot: SigningKey
    evidence: WrappingKey

    @property
    def all(self) -> tuple[SigningKey | WrappingKey, ...]:
        """Every key that others must trust."""
        return (self.snapshot, self.token, self.evidence)

    def token_key(self, key_id: str) -> TokenKey | None:
        """The public key of tokens that we issued."""
        if key_id != self.token.id:
            return None
        return TokenKey(self.token.id, ISSUER, self.token.public_bytes)


def open_key_ring(folder: Path) -> KeyRing:
    """The keys of a folder, made where they are missing. Raises SettingsInvalid."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return KeyRing(_signing(folder, "token"), _signing(folder, "snapshot"), _wrapping(folder))
    except OSError as error:
        raise SettingsInvalid(f"the keys in {folder} can't be used: {error}") from error


def open_bundle_key(folder: Path) -> BundleKey:
    """The key of a folder, made where it is missing. Raises SettingsInvalid."""
    path = folder / "bundle.key"
    try:
        private = _open(path, lambda: generate_private_key(SECP256R1()))
    except OSError as error:
        raise SettingsInvalid(f"{path} can't be used: {error}") from error
    if not isinstance(private, EllipticCurvePrivateKey) or private.curve.name != SECP256R1.name:
        raise SettingsInvalid(f"{path} is no key on the curve P-256")
    public = private.public_key()
    encoded = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return BundleKey(_id("bundle", encoded), private)


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


def _signing(folder: Path, use: str) -> SigningKey:
    path = folder / f"{use}.key"
    private = _open(path, Ed25519PrivateKey.generate)
    if not isinstance(private, Ed25519PrivateKey):
        raise SettingsInvalid(f"{path} is no Ed25519 key")
    return SigningKey(_id(use, private.public_key().public_bytes_raw()), use, private)


def _wrapping(folder: Path) -> WrappingKey:
    path = folder / "evidence.key"
    private = _open(path, X25519PrivateKey.generate)
    if not isinstance(private, X25519PrivateKey):
        raise SettingsInvalid(f"{path} is no X25519 key")
    return WrappingKey(_id("evidence", private.public_key().public_bytes_raw()), private)


def _make(path: Path, made: _Private) -> None:
    """Keep a new key, unless another replica made one at the same time."""
    own = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    try:
        write_private(own, made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        with suppress(FileExistsError):
            os.link(own, path)
    finally:
        own.unlink(missing_ok=True)


def _open(path: Path, generate: Callable[[], _Private]) -> object:
    """The private key of a file, made where it is missing."""
    if not path.exists():
        _make(path, generate())
    try:
        return load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError) as error:
        raise SettingsInvalid(f"{path} is no readable key in PEM: {error}") from error


def _id(use: str, public: bytes) -> str:
    return f"{use}-{hashlib.sha256(public).hexdigest()[:16]}"
