"""Whose tokens the agent believes: the enrolment's keys and those of the snapshot in force."""

from domain_agent.control.enrolment import Trust
from domain_agent.snapshot.holder import SnapshotHolder
from mesh.identity.tokens import ISSUER, TokenKey


class TrustedTokenKeys:
    """The control plane's token keys by id. The snapshot's replace the enrolment's."""

    def __init__(self, trust: Trust, holder: SnapshotHolder) -> None:
        self._trust, self._holder = trust, holder

    def token_key(self, key_id: str) -> TokenKey | None:
        """The key of that id, or None."""
        snapshot = self._holder.peek()
        known = (
            self._trust.token_keys
            if snapshot is None
            else {key.id: key.public_key for key in snapshot.keys if key.use == "token"}
        )
        public = known.get(key_id)
        return None if public is None else TokenKey(key_id, ISSUER, public)
