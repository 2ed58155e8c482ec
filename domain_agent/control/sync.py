"""The Sync stream: takes what the control plane sends, answers every revision."""

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeAlias

import grpc
from google.protobuf.message import DecodeError

from domain_agent.control.link import Link
from domain_agent.snapshot.holder import SnapshotHolder
from domain_agent.snapshot.receiver import Receiver
from domain_agent.snapshot.values import Snapshot
from mesh.errors import AgentSuperseded, MeshError
from mesh.v1 import agents_pb2, agents_pb2_grpc
from mesh.wire.status import from_rpc_error

log = logging.getLogger(__name__)

_Answers: TypeAlias = queue.SimpleQueue[agents_pb2.SyncRequest | None]


@dataclass(frozen=True, slots=True)
class Heard:
    """Who is told of what the control plane said: a snapshot in force, a rehearsal asked for."""

    installed: Callable[[], None]
    asked: Callable[[agents_pb2.RehearsalRequest], None]


class SyncClient:
    """One thread that keeps a stream open for as long as the agent runs."""

    def __init__(
        self,
        domain: str,
        link: Link,
        holder: SnapshotHolder,
        snapshot_keys: Mapping[str, bytes],
        heard: Heard,
    ) -> None:
        self._domain, self._link, self._holder = domain, link, holder
        self._keys, self._heard = snapshot_keys, heard
        self._stopping = threading.Event()
        self._cancel: Callable[[], object] | None = None
        self._answers: _Answers | None = None
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)
        holder.when_behind(self._ask)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the stream and wait for the thread."""
        self._stopping.set()
        cancel = self._cancel
        if cancel is not None:
            cancel()
        self._thread.join()

    def _ask(self, revision: int) -> None:
        """Ask to be told when nothing up to a revision is missing; without a stream, nobody."""
        answers = self._answers
        if answers is not None:
            question = agents_pb2.SyncQuestion(revision=revision)
            answers.put(agents_pb2.SyncRequest(question=question))

    def _run(self) -> None:
        pause = 0.2
        while not self._stopping.is_set():
            try:
                self._stream()
                pause = 0.2
            except grpc.RpcError as error:
                refusal = from_rpc_error(error, self._link.target)
                if not self._stopping.is_set():
                    log.warning("sync ended: %s", refusal)
                if isinstance(refusal, AgentSuperseded):
                    pause = 30.0
            except Exception:
                log.exception("sync failed; the snapshot in force stays")
            self._stopping.wait(pause)
            pause = min(pause * 2, 5.0)

    def _stream(self) -> None:
        answers: _Answers = queue.SimpleQueue()
        answers.put(
            agents_pb2.SyncRequest(
                hello=agents_pb2.SyncHello(acknowledged_revision=self._holder.highest_revision)
            )
        )
        stub = agents_pb2_grpc.AgentServiceStub(self._link.channel)
        call = stub.Sync(_until_none(answers), metadata=self._link.metadata)
        self._cancel = call.cancel
        receiver = Receiver(self._domain, self._keys, self._holder.highest_revision)
        self._answers = answers
        try:
            for message in call:
                if not self._take(receiver, message, answers):
                    return
        finally:
            self._answers = None
            answers.put(None)
            call.cancel()

    def _take(
        self,
        receiver: Receiver,
        message: agents_pb2.SyncResponse,
        answers: _Answers,
    ) -> bool:
        """Install what came and answer; False when the stream must start anew."""
        try:
            received = receiver.feed(message)
            if received is None:
                return True
            self._holder.install(received)
        except MeshError as refusal:
            log.error("a revision is refused: %s", refusal)
            answers.put(_refusal(message, refusal))
            self._stopping.wait(1.0)
            return False
        if received.rehearsal is not None:
            self._heard.asked(received.rehearsal)
        if received.snapshot is not None:
            self._acknowledge(received.snapshot, answers)
        return True

    def _acknowledge(self, snapshot: Snapshot, answers: _Answers) -> None:
        answers.put(
            agents_pb2.SyncRequest(
                acknowledgement=agents_pb2.SyncAcknowledgement(
                    revision=snapshot.revision, digest=snapshot.digest
                )
            )
        )
        log.info("enforcing revision %d", snapshot.revision)
        self._heard.installed()


def _until_none(answers: _Answers) -> Iterator[agents_pb2.SyncRequest]:
    while (answer := answers.get()) is not None:
        yield answer


def _refusal(message: agents_pb2.SyncResponse, refusal: MeshError) -> agents_pb2.SyncRequest:
    payload = agents_pb2.SyncPayload()
    if message.WhichOneof("message") == "signed":
        # What can't be read is refused too, and that has to be told.
        with suppress(DecodeError):
            payload.MergeFromString(message.signed.payload)
    return agents_pb2.SyncRequest(
        refusal=agents_pb2.SyncRefusal(
            revision=payload.revision, reason=refusal.reason_id, message=refusal.message
        )
    )
