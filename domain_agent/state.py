"""The state folder: its owner's alone, and one agent's at a time."""

import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

from mesh.errors import StateTaken

# An agent that is told to stop lets go within this, so that a restart may overlap.
WAIT_SECONDS = 15.0
_STEP_SECONDS = 0.1


def lock_state(state: Path, elapsed: Callable[[], float] = time.monotonic) -> IO[str]:
    """The folder, made if missing, mode 0700; hold what is returned for as long as it is used.

    Two agents in one folder would write two logs as one. Raises StateTaken after a while, OSError.
    """
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = (state / "lock").open("w")
    until = elapsed() + WAIT_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if elapsed() > until:
                lock.close()
                raise StateTaken(
                    f"another agent uses the state folder {state}; stop it, or give this one a "
                    "folder of its own"
                ) from None
            time.sleep(_STEP_SECONDS)
        else:
            return lock
