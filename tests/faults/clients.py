"""Clients that change things on and on, and a watcher of the changes, across every interruption."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc

from mesh.v1 import audit_pb2, audit_pb2_grpc
from tests.faults.calling import Caller, add_purpose, approve, called, publish, request_access


@dataclass(slots=True)
class Clients:
    """What each of some clients did, on and on; each effect is to be there exactly once."""

    address: str
    admin: str
    ana: str
    olga: str
    purposes: list[str] = field(default_factory=list)
    versions: list[str] = field(default_factory=list)
    agreements: list[str] = field(default_factory=list)
    again: int = 0
    errors: list[Exception] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    def purpose(self, admin: Caller) -> None:
        """Register another purpose."""
        name = f"p-{len(self.purposes)}"
        add_purpose(admin, name)
        self.purposes.append(name)

    def version(self, admin: Caller) -> None:
        """Publish another version."""
        name = f"1.{len(self.versions) + 1}.0"
        publish(admin, name)
        self.versions.append(name)

    @contextmanager
    def working(self) -> Iterator[None]:
        """All of them at once, until the block ends; none may have failed."""
        work: Sequence[tuple[str, Callable[[Caller], None]]] = (
            (self.admin, self.purpose),
            (self.admin, self.version),
            (self.ana, self._agree),
            (self.ana, self._agree),
        )
        threads = [threading.Thread(target=self._run, args=one) for one in work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self.stopping.set()
            for thread in threads:
                thread.join()
        assert not self.errors, self.errors

    def _agree(self, ana: Caller) -> None:
        agreement = request_access(ana)
        olga = Caller(ana.channel, self.olga)
        approve(olga, agreement)
        ana.again += olga.again
        self.agreements.append(agreement)

    def _run(self, token: str, step: Callable[[Caller], None]) -> None:
        try:
            with called(self.address, token) as caller:
                while not self.stopping.is_set():
                    step(caller)
                self.again += caller.again
        except Exception as error:  # noqa: BLE001 - the waiting test raises it
            self.errors.append(error)


class Watcher:
    """Follows the timeline from its start, and goes on after each loss where it was."""

    def __init__(self, address: str, token: str) -> None:
        self._address, self._token = address, token
        self.entries: list[audit_pb2.Entry] = []
        self.losses = 0
        self._stopping = threading.Event()
        self._cancel: Callable[[], object] | None = None
        self._thread = threading.Thread(target=self._run, name="watcher")

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        if self._cancel is not None:
            self._cancel()
        self._thread.join()

    def changes(self) -> list[audit_pb2.Entry]:
        """The changes, in the order in which they came."""
        return [one for one in self.entries if one.kind == "change"]

    def _run(self) -> None:
        while not self._stopping.is_set():
            with called(self._address, self._token) as caller:
                cursor = self.entries[-1].cursor if self.entries else "0"
                stub = audit_pb2_grpc.AuditServiceStub(caller.channel)
                metadata = (("authorization", f"Bearer {self._token}"),)
                try:
                    call = stub.TailEntries(
                        audit_pb2.TailEntriesRequest(cursor=cursor), metadata=metadata
                    )
                    self._cancel = call.cancel
                    if self._stopping.is_set():
                        call.cancel()
                    self.entries.extend(one.entry for one in call)
                except grpc.RpcError:
                    self.losses += 1
            self._stopping.wait(0.05)
