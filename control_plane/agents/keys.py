"""The keys whose tokens the control plane believes: its own, and those of enrolled agents."""

from collections.abc import Callable
from datetime import datetime

from control_plane.agents import store
from control_plane.database import Database
from control_plane.identity.keys import KeyRing
from mesh.identity.tokens import TokenKey

_AGENT = "agent:"


class TrustedTokenKeys:
    """Finds our own key in the ring and an agent's among the enrolled."""

    def __init__(self, keys: KeyRing, database: Database, clock: Callable[[], datetime]) -> None:
        self._keys = keys
        self._database = database
        self._clock = clock

    def token_key(self, key_id: str) -> TokenKey | None:
        """The key of that id, or None when nobody here made or enrolled it."""
        if not key_id.startswith(_AGENT):
            return self._keys.token_key(key_id)
        domain, _, agent = key_id.removeprefix(_AGENT).partition("/")
        with self._database.reading() as tx:
            found = store.find(tx, domain, agent, self._clock())
        return None if found is None else TokenKey(key_id, key_id, found.public_key)
