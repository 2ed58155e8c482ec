"""The state folder: its owner's alone, and one process's at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from control_plane.settings import SettingsInvalid


@contextmanager
def locked_state(state: Path) -> Iterator[None]:
    """The folder, made if missing, mode 0700, locked against a second control plane.

    Raises SettingsInvalid.
    """
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        state.chmod(0o700)
        lock = (state / "lock").open("w")
    except OSError as error:
        raise SettingsInvalid(f"the state folder {state} can't be used: {error}") from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise SettingsInvalid(
                f"another control plane uses the state folder {state}; stop it, or choose another"
                " folder"
            ) from error
        yield
