"""Opens what agents sealed, as long as the key exists."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from control_plane.database import Transaction
from control_plane.vault import store
from control_plane.vault.rules import WrappedKey
from mesh.evidence.events import UsageEvent, agent_source
from mesh.evidence.sealing import SealBroken, key_id, unseal
from mesh.evidence.wrapping import WrappingBroken, unwrap

_log = logging.getLogger(__name__)


class Vault:
    """Holds the one key that unwraps principals' keys. Nothing unwrapped outlives a call.

    So an erasure is in force in every replica as soon as it is committed.
    """

    def __init__(self, private: X25519PrivateKey) -> None:
        self._private = private

    def keep(
        self,
        tx: Transaction,
        domain: str,
        agent: str,
        wrapped: Mapping[str, bytes],
        now: datetime,
    ) -> dict[str, str]:
        """Store an agent's keys; the principals of those that are stored now, by key id.

        Left out are keys that do not open, and those of a principal whose erasure the agent has
        yet to confirm: it is about to destroy them.
        """
        erasing = {one.principal for one in store.pending(tx, domain, agent)}
        known = store.known_keys(tx, domain, agent, sorted(wrapped))
        opened: dict[str, str] = {}
        new: list[WrappedKey] = []
        broken = 0
        for id_, blob in wrapped.items():
            try:
                key = unwrap(blob, agent_source(domain, agent), self._private)
            except WrappingBroken:
                broken += 1
                continue
            if key.id != id_ or key.principal in erasing:
                continue
            opened[id_] = key.principal
            if id_ not in known:
                new.append(WrappedKey(domain, agent, id_, key.principal, key.quarter, blob))
        if broken:
            _log.error("%d keys of %s/%s do not open and are not kept", broken, domain, agent)
        store.add_keys(tx, new, now)
        return opened

    def open(
        self, tx: Transaction, domain: str, agent: str, events: Sequence[UsageEvent]
    ) -> dict[str, dict[str, object]]:
        """The personal fields of an agent's events by event id, of those that can be opened."""
        sealed = {event.id: key_id(event.data) for event in events}
        secrets = self._secrets(tx, domain, agent, {key for key in sealed.values() if key})
        opened: dict[str, dict[str, object]] = {}
        for event in events:
            secret = secrets.get(sealed[event.id] or "")
            if secret is None:
                continue
            try:
                opened[event.id] = unseal(event.id, event.data, secret)
            except SealBroken as error:
                _log.error("%s/%s: %s", domain, agent, error)
        return opened

    def _secrets(
        self, tx: Transaction, domain: str, agent: str, ids: Iterable[str]
    ) -> dict[str, bytes]:
        source = agent_source(domain, agent)
        secrets = {}
        for id_, key in store.wrapped_keys(tx, domain, agent, ids).items():
            try:
                secrets[id_] = unwrap(key.wrapped, source, self._private).secret
            except WrappingBroken:
                _log.error("key %s of %s/%s does not open any more", id_, domain, agent)
        return secrets
