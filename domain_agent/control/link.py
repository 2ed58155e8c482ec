"""The agent's line to the control plane: one channel, its own key, a fresh token for every call."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import grpc
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from uuid_utils import uuid7

from domain_agent.clock import Clock
from domain_agent.spool.files import Files
from mesh.identity.tokens import AGENT_LIFETIME, agent_token
from mesh.wire.targets import channel_target

CALL_SECONDS = 10.0
# Renewed well before its five minutes are over.
_RENEW_BEFORE = timedelta(minutes=2)


def load_or_make_key(path: Path, files: Files) -> Ed25519PrivateKey:
    """The agent's own key; made at the first start, 0600. An agent is its key."""
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError(f"{path} holds no Ed25519 key")
        return key
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    files.replace(path, pem)
    return key


@dataclass(frozen=True, slots=True)
class AgentIdentity:
    """Who the agent is, and the key that proves it."""

    domain: str
    id: str
    key: Ed25519PrivateKey


class Link:
    """A channel that reconnects by itself, and the metadata that authenticates a call."""

    def __init__(
        self, target: str, identity: AgentIdentity, clock: Clock, authority: bytes | None
    ) -> None:
        self.target, self._identity, self._clock = target, identity, clock
        options = [
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 10_000),
            ("grpc.max_reconnect_backoff_ms", 2_000),
            ("grpc.initial_reconnect_backoff_ms", 200),
        ]
        if authority is None:
            self.channel = grpc.insecure_channel(channel_target(target), options)
        else:
            self.channel = grpc.secure_channel(
                channel_target(target), grpc.ssl_channel_credentials(authority), options
            )
        self._token = ""
        self._issued = self._expires = clock.now()

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Metadata with a token that is good for at least two minutes."""
        now, who = self._clock.now(), self._identity
        # A token made while the clock was ahead is from the future when it is right again.
        if not self._issued <= now < self._expires - _RENEW_BEFORE:
            self._token = agent_token(who.domain, who.id, who.key, str(uuid7()), now)
            self._issued, self._expires = now, now + AGENT_LIFETIME
        return (("authorization", f"Bearer {self._token}"),)

    def close(self) -> None:
        self.channel.close()
