"""A worker process from its first instruction: confined before anything else is loaded."""

import os
import pickle
import queue
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from domain_agent.worker import sandbox
from domain_agent.worker.frames import Fault, Frame, FrameKind, fault_bytes, receive, send
from domain_agent.worker.limits import PoolSettings
from mesh.errors import AgentNotReady

if TYPE_CHECKING:
    from domain_agent.worker.commands import Command
    from domain_agent.worker.session import Session

PACKAGE_ROOT = Path(__file__).parents[2]


def main(descriptor: int, parent: int) -> None:
    """Serve the agent on an inherited socket until it closes; then end without ceremony."""
    sandbox.die_with(parent)
    end = socket.socket(fileno=descriptor)
    settings: PoolSettings = pickle.loads(receive(end).second)  # noqa: S301 - from the agent
    try:
        session = _confined(end, settings)
    except Exception as error:  # noqa: BLE001 - whatever fails is told, never swallowed
        message = (
            f"a worker process can't run confined: {error}. Unconfined, DuckDB could write the"
            " sources; the worker setting `sandbox: none` accepts this"
        )
        fault = Fault(AgentNotReady(message), repr(error), fatal=True)
        send(end, Frame(FrameKind.FAULT, 0, second=fault_bytes(fault)))
        return
    commands: queue.SimpleQueue[tuple[int, Command] | None] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(end, session, commands), daemon=True).start()
    send(end, Frame(FrameKind.READY, 0))
    session.serve(commands)


def _confined(end: socket.socket, settings: PoolSettings) -> "Session":
    sandbox.limit(settings)
    if settings.sandbox == "landlock":
        sandbox.confine(settings.roots, PACKAGE_ROOT)
    # Only now, so that the threads it starts are confined too.
    from domain_agent.worker.session import Session  # noqa: PLC0415

    return Session(end, settings)


def _listen(
    end: socket.socket,
    session: "Session",
    commands: "queue.SimpleQueue[tuple[int, Command] | None]",
) -> None:
    """Hand on commands; a cancellation acts at once. The agent's end is this process's."""
    try:
        while True:
            frame = receive(end)
            if frame.kind is FrameKind.CANCEL:
                session.cancel(frame.number)
            else:
                command: Command = pickle.loads(frame.second)  # noqa: S301 - from the agent
                commands.put((frame.number, command))
    finally:
        os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
    sys.stderr.flush()
    os._exit(0)
