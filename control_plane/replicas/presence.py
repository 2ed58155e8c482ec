"""How a replica says that it serves, and takes over what an earlier process of it left."""

from collections.abc import Callable
from datetime import datetime, timedelta

from control_plane.database import Database, Transaction
from control_plane.replicas import store

BEAT_SECONDS = 5.0
# A replica that said nothing for so long is dead, and its agents are not connected to it.
_LIFE = timedelta(seconds=3 * BEAT_SECONDS)


class Presence:
    """This replica among those that serve the database."""

    def __init__(self, database: Database, replica: str, clock: Callable[[], datetime]) -> None:
        self._database = database
        self._clock = clock
        self.replica = replica

    def join(self, tx: Transaction) -> None:
        """Serve from now on."""
        now = self._clock()
        store.beat(tx, self.replica, now, now + _LIFE)

    def beat(self) -> None:
        """Serve on."""
        with self._database.writing() as tx:
            self.join(tx)

    def leave(self) -> None:
        """Serve no longer."""
        with self._database.writing() as tx:
            store.leave(tx, self.replica)
