"""Reads untrusted texts in a process that ends when they take too long.

What looks at texts here are regular expressions; some texts can make these search for hours, and
that would stop every thread of the process that asked.
"""

import multiprocessing
import resource
from collections.abc import Mapping
from multiprocessing.connection import Connection

from mesh.decisions.lint import lint
from mesh.decisions.modules import Problem
from mesh.errors import PolicyInvalid

LINT_SECONDS = 20
_PATIENCE = 6
_MEMORY = 2 * 1024**3


def lint_bounded(modules: Mapping[str, str], seconds: int = LINT_SECONDS) -> list[Problem]:
    """What `lint` finds. Raises PolicyInvalid when it takes more CPU time than that."""
    spawning = multiprocessing.get_context("spawn")
    ours, theirs = spawning.Pipe()
    process = spawning.Process(target=_lint, args=(theirs, seconds), name="lint", daemon=True)
    process.start()
    theirs.close()
    try:
        ours.send(dict(modules))
        if not ours.poll(seconds * _PATIENCE):
            raise EOFError
        found: list[Problem] = ours.recv()
    except (EOFError, OSError):
        raise PolicyInvalid(
            f"its texts can't be read within {seconds} s of CPU time: they nest or repeat too much"
        ) from None
    finally:
        ours.close()
        process.kill()
        process.join()
        process.close()
    return found


def _lint(connection: Connection, seconds: int) -> None:
    """Runs in the process."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    connection.send(lint(connection.recv()))
