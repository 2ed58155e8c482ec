"""The state folder: its owner's alone, and one process's at a time."""

import fcntl
import re
from collections.abc import Callable, Iterator
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


def replica_id(state: Path, new_id: Callable[[], str]) -> str:
    """The id of the control plane that has this state folder, from its first start on.

    Raises SettingsInvalid.
    """
    path = state / "replica.id"
    try:
        if not path.exists():
            path.write_text(f"{new_id()}\n", encoding="utf-8")
        found = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsInvalid(f"{path} can't be used: {error}") from error
    if not re.fullmatch(r"[0-9a-f-]{1,64}", found):
        raise SettingsInvalid(f"{path} holds no id; remove it, and a new one is made")
    return found
