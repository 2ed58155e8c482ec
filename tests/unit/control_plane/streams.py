"""An agent's Sync stream, as a test drives it."""

import queue

from mesh.v1 import agents_pb2, agents_pb2_grpc
from mesh.wire.snapshots import entries_from_proto
from tests.unit.control_plane.running import Client

_SECONDS = 30


class SyncStream:
    """Says hello at once; what the control plane says is taken one by one."""

    def __init__(self, client: Client, acknowledged: int = 0, seconds: float = _SECONDS) -> None:
        self._requests: queue.SimpleQueue[agents_pb2.SyncRequest | None] = queue.SimpleQueue()
        hello = agents_pb2.SyncHello(acknowledged_revision=acknowledged)
        self.say(agents_pb2.SyncRequest(hello=hello))
        stub = agents_pb2_grpc.AgentServiceStub(client.channel)
        self.call = stub.Sync(
            iter(self._requests.get, None), metadata=client.metadata, timeout=seconds
        )

    def say(self, request: agents_pb2.SyncRequest) -> None:
        """Send a message."""
        self._requests.put(request)

    def acknowledge(self, revision: int, digest: bytes) -> None:
        """Say that a revision is enforced."""
        message = agents_pb2.SyncAcknowledgement(revision=revision, digest=digest)
        self.say(agents_pb2.SyncRequest(acknowledgement=message))

    def refuse(self, revision: int, reason: str = "agent.digest_mismatch") -> None:
        """Say that a revision is not enforced."""
        message = agents_pb2.SyncRefusal(revision=revision, reason=reason, message="no")
        self.say(agents_pb2.SyncRequest(refusal=message))

    def ask(self, revision: int) -> None:
        """Ask to be told when nothing up to a revision is missing."""
        question = agents_pb2.SyncQuestion(revision=revision)
        self.say(agents_pb2.SyncRequest(question=question))

    def payload(self) -> agents_pb2.SyncPayload:
        """The next signed payload, not verified."""
        return agents_pb2.SyncPayload.FromString(next(self.call).signed.payload)

    def snapshot(self) -> tuple[agents_pb2.SyncPayload, dict[str, bytes]]:
        """The next whole snapshot with its entries."""
        payload = self.payload()
        entries: dict[str, bytes] = {}
        for _ in range(payload.snapshot.parts):
            entries |= entries_from_proto(next(self.call).part.entries)
        return payload, entries

    def leave(self) -> None:
        """Close the agent's side."""
        self._requests.put(None)
