"""Where the agent is killed: named points around what it does, put on from outside.

A point is before, after or in the middle of a call of a function of the agent. The n-th time it is
reached the process sends SIGKILL to itself. Nothing of this is in what is shipped.
"""

import functools
import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, Final

from domain_agent.control.shipping import AuditTransport
from domain_agent.control.witnessing import SignedHeads
from domain_agent.flight import streams
from domain_agent.principal_keys import PrincipalKeys
from domain_agent.reads.receipts import Receipts
from domain_agent.spool.event_log import EventLog
from domain_agent.spool.files import Files
from domain_agent.spool.spool import Spool
from mesh.evidence.events import EventType


class When(Enum):
    """On which side of the call."""

    BEFORE = "before"
    AFTER = "after"
    TORN = "torn"


class Needs(Enum):
    """What must happen in a round, or before it, for the point to be reached."""

    READS = "reads"
    ERASURE = "erasure"
    REVOCATION = "revocation"
    UNFINISHED = "unfinished reads"
    TORN_END = "a torn end"


@dataclass(frozen=True, slots=True)
class Point:
    """A place in the agent: side of a call whose arguments fit. `most` is the largest n."""

    owner: Any
    name: str
    when: When
    fits: Callable[..., bool] = lambda *_, **__: True
    most: int = 12
    needs: Needs = Needs.READS


def _fd(descriptor: int) -> Path:
    return Path(f"/proc/self/fd/{descriptor}").readlink()


def _writes(suffix: str, folder: str = "") -> Callable[..., bool]:
    """Whether a write goes to such a file."""
    return lambda _, descriptor, *__: _is(_fd(descriptor), suffix, folder)


def _path(suffix: str, folder: str = "") -> Callable[..., bool]:
    """Whether a call on a path is about such a file."""

    def fits(*arguments: Any, **_: Any) -> bool:
        return any(isinstance(one, Path) and _is(one, suffix, folder) for one in arguments[:2])

    return fits


def _is(path: Path, suffix: str, folder: str) -> bool:
    return path.name.endswith(suffix) and (not folder or path.parent.name == folder)


def _records(files: Files, descriptor: int, *_: Any) -> bool:
    return _writes(".log")(files, descriptor) and os.fstat(descriptor).st_size > 0


def _header(files: Files, descriptor: int, *_: Any) -> bool:
    return _writes(".log")(files, descriptor) and os.fstat(descriptor).st_size == 0


def _event(kind: EventType) -> Callable[..., bool]:
    return lambda _, written, *__, **___: written is kind


def _recovering(_: EventLog, kind: EventType, *__: Any, **___: Any) -> bool:
    return kind is EventType.ABORTED and threading.current_thread() is threading.main_thread()


_BEFORE, _AFTER, _TORN = When.BEFORE, When.AFTER, When.TORN

POINTS: Final[dict[str, Point]] = {
    "record.unwritten": Point(Files, "write", _BEFORE, _records),
    "record.torn": Point(Files, "write", _TORN, _records),
    "record.unsynced": Point(Files, "sync", _BEFORE, _writes(".log")),
    "record.unpublished": Point(Files, "sync", _AFTER, _writes(".log")),
    "segment.unborn": Point(Files, "create", _BEFORE, _path(".log"), 3),
    "segment.empty": Point(Files, "create", _AFTER, _path(".log"), 3),
    "segment.header-torn": Point(Files, "write", _TORN, _header, 3),
    "segment.begun": Point(Spool, "_begin_segment", _AFTER, most=3),
    "mark.torn": Point(Files, "write", _TORN, _writes("acknowledged.new"), 2),
    "mark.unnamed": Point(Path, "replace", _BEFORE, _path("acknowledged.new"), 2),
    "mark.kept": Point(Files, "replace", _AFTER, _path("acknowledged"), 2),
    "segment.pruned": Point(Path, "unlink", _AFTER, _path(".log"), 3),
    "key.torn": Point(Files, "write", _TORN, _writes(".json.new", "principals"), 1),
    "key.unnamed": Point(Path, "replace", _BEFORE, _path(".json.new", "principals"), 1),
    "key.kept": Point(Files, "replace", _AFTER, _path(".json", "principals"), 1),
    "key.told": Point(EventLog, "write", _AFTER, _event(EventType.KEY_CREATED), 1),
    "key.doomed": Point(
        EventLog, "write", _AFTER, _event(EventType.KEY_DESTROYED), 1, Needs.ERASURE
    ),
    "key.overwritten": Point(
        Path, "unlink", _BEFORE, _path(".json", "principals"), 1, Needs.ERASURE
    ),
    "key.destroyed": Point(Files, "destroy", _AFTER, _path(".json"), 1, Needs.ERASURE),
    "pseudonyms.doomed": Point(
        EventLog, "write", _AFTER, _event(EventType.PSEUDONYM_KEY_DESTROYED), 1, Needs.REVOCATION
    ),
    "pseudonyms.overwritten": Point(
        Path, "unlink", _BEFORE, _path(".key", "pseudonyms"), 1, Needs.REVOCATION
    ),
    "head.torn": Point(Files, "write", _TORN, _writes("checkpoint.new"), 2),
    "head.signed": Point(SignedHeads, "sign", _AFTER, most=2),
    "head.reported": Point(PrincipalKeys, "delivered", _BEFORE, most=2),
    "events.unsent": Point(AuditTransport, "send", _BEFORE, most=4),
    "events.sent": Point(AuditTransport, "send", _AFTER, most=4),
    "events.acknowledged": Point(Spool, "acknowledge", _AFTER, most=4),
    "read.unstarted": Point(Receipts, "started", _BEFORE),
    "read.started": Point(Receipts, "started", _AFTER),
    "batch.allowed": Point(streams, "batch_frame", _BEFORE, most=40),
    "read.uncompleted": Point(Receipts, "completed", _BEFORE),
    "read.completed": Point(Receipts, "completed", _AFTER),
    "read.refused": Point(Receipts, "refused", _AFTER, most=3),
    "snapshot.torn": Point(Files, "write", _TORN, _writes("snapshot.new"), 2, Needs.REVOCATION),
    "snapshot.unnumbered": Point(
        Files, "replace", _AFTER, _path("snapshot", "snapshot"), 2, Needs.REVOCATION
    ),
    "time.unnamed": Point(Path, "replace", _BEFORE, _path("time.new"), 1),
    "recovery.ending": Point(EventLog, "write", _AFTER, _recovering, 1, Needs.UNFINISHED),
    "recovery.torn-kept": Point(Files, "replace", _AFTER, _path(".torn"), 1, Needs.TORN_END),
}


def arm(point: Point, nth: int, kept: float = 0.5) -> None:
    """Wrap the point's function: the process dies when it is reached for the n-th time.

    `kept` is the part of the data that a torn write leaves on the disk.
    """
    original = getattr(point.owner, point.name)
    lock, reached = threading.Lock(), 0

    def reach() -> bool:
        nonlocal reached
        with lock:
            reached += 1
            return reached == nth

    @functools.wraps(original)
    def armed(*arguments: Any, **named: Any) -> Any:
        fits = point.fits(*arguments, **named)
        if fits and point.when is not When.AFTER and reach():
            if point.when is When.TORN:
                files, descriptor, data = arguments
                original(files, descriptor, data[: int(len(data) * kept)])
            _die()
        result = original(*arguments, **named)
        # A call that failed, as by a quota that is full, did not come to its end.
        if fits and point.when is When.AFTER and reach():
            _die()
        return result

    setattr(point.owner, point.name, armed)


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)
