"""Frames between the agent and a worker over a socket pair: a fixed head, then two parts.

What a worker sends is bounded and never unpickled: a worker runs foreign SQL.
"""

import json
import socket
import struct
from dataclasses import dataclass
from enum import IntEnum

from mesh import errors

_HEAD = struct.Struct("<BIIIQ")
_LONGEST_FIRST = 4 * 1024 * 1024
_LONGEST_SECOND = 256 * 1024 * 1024


class FrameKind(IntEnum):
    """What a frame says; the first two go to the worker."""

    COMMAND = 1
    CANCEL = 2
    READY = 3
    RESULT = 4
    SCHEMA = 5
    BATCH = 6
    END = 7
    FAULT = 8


@dataclass(frozen=True, slots=True)
class Frame:
    """`number` is the command's; `first` and `second` are for a batch its header and body."""

    kind: FrameKind
    number: int
    rows: int = 0
    first: bytes | memoryview = b""
    second: bytes | memoryview = b""


def send(end: socket.socket, frame: Frame) -> None:
    """Send a whole frame. Raises OSError when the other side is gone."""
    first, second = memoryview(frame.first), memoryview(frame.second)
    head = _HEAD.pack(frame.kind, frame.number, frame.rows, first.nbytes, second.nbytes)
    parts = [memoryview(head), *(part for part in (first, second) if part.nbytes)]
    while parts:
        sent = end.sendmsg(parts)
        while parts and sent >= parts[0].nbytes:
            sent -= parts.pop(0).nbytes
        if parts and sent:
            parts[0] = parts[0][sent:]


def receive(end: socket.socket) -> Frame:
    """The next frame. Raises EOFError when the other side is gone, or sends no frame."""
    kind, number, rows, first_size, second_size = _HEAD.unpack(_exactly(end, _HEAD.size))
    if first_size > _LONGEST_FIRST or second_size > _LONGEST_SECOND:
        raise EOFError("a frame is longer than any that is sent")
    try:
        known = FrameKind(kind)
    except ValueError:
        raise EOFError("a frame of no known kind") from None
    first = _exactly(end, first_size)
    return Frame(known, number, rows, first, memoryview(_exactly(end, second_size)))


def _exactly(end: socket.socket, size: int) -> bytes:
    # `recv` reads into memory that nobody cleared before, which `recv_into` can't.
    parts = []
    while size:
        try:
            part = end.recv(size, socket.MSG_WAITALL)
        except OSError as error:
            raise EOFError("the connection broke") from error
        if not part:
            raise EOFError("the other side is gone")
        parts.append(part)
        size -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


_FAULTS: dict[str, type[errors.MeshError]] = {
    error.reason: error
    for error in (
        errors.AgentNotReady,
        errors.LimitRows,
        errors.SourceDrift,
        errors.SourceMissing,
        errors.SourceUnsupported,
        errors.StatementFailed,
        errors.StatementInvalid,
        errors.StatementNotAllowed,
        errors.StatementNotSelect,
        errors.StatementOutOfMemory,
        errors.StatementParametersInvalid,
        errors.StatementTooDeep,
    )
}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a command failed. `detail` may hold data: it is for the agent's log alone."""

    error: errors.MeshError
    detail: str = ""
    fatal: bool = False


def fault_bytes(fault: Fault) -> bytes:
    """A fault as a worker sends it."""
    error = fault.error
    document = {
        "reason": error.reason,
        "message": error.message,
        "detail": fault.detail[:4096],
        "fatal": fault.fatal,
    }
    return json.dumps(document).encode()


def fault_from(content: bytes | memoryview) -> Fault:
    """A fault as the agent understands it; one of no known kind counts as a lost worker."""
    try:
        document = json.loads(bytes(content))
        class_ = _FAULTS[document["reason"]]
        error = class_(str(document["message"]))
        return Fault(error, str(document["detail"]), bool(document["fatal"]))
    except (ValueError, KeyError, TypeError):
        lost = errors.StatementWorkerLost("the process that ran the statement broke; try again")
        return Fault(lost, "a fault that can't be read", fatal=True)
