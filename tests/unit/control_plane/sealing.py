"""What agents seal, with keys that tests can make again: one for each agent and user."""

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_private_key

from mesh.evidence.canonical import canonical, canonical_fields
from mesh.evidence.sealing import Personal, PrincipalKey, seal
from mesh.evidence.wrapping import wrap
from mesh.v1 import audit_pb2

USERS = ("ana", "bob", "eve")


def key_of(agent: str, user: str) -> PrincipalKey:
    """The key of a user's personal fields at an agent, `domain/id`."""
    secret = hashlib.sha256(f"{agent} {user}".encode()).digest()
    return PrincipalKey(f"key-{secret.hex()[:8]}", f"user:{user}", "2026-Q4", secret)


def sealed(
    event_id: str,
    agent: str,
    user: str,
    fields: Mapping[str, object],
    inputs: Iterable[object] = (),
) -> bytes:
    """An event's data that says sealed who read; the same for the same event."""
    personal = {
        "principal": {"kind": "user", "subject": user, "teams": []},
        "client": "ipv4:127.0.0.1:1",
        "inputs": list(inputs),
    }
    sealing = Personal(canonical(personal), key_of(agent, user))
    return seal(event_id, canonical_fields(fields), sealing, bytes)


def wrapped_keys(folder: Path, agent: str, users: Iterable[str]) -> list[audit_pb2.WrappedKey]:
    """Those users' keys as the agent reports them to the control plane with a folder's keys."""
    private = load_pem_private_key((folder / "evidence.key").read_bytes(), password=None)
    reader = private.public_key().public_bytes_raw()  # type: ignore[union-attr]
    keys = [key_of(agent, user) for user in users]
    return [
        audit_pb2.WrappedKey(id=key.id, wrapped=wrap(key, f"/agents/{agent}", reader))
        for key in keys
    ]
