"""Readers that note what they were given: the receipt, each batch, and whether all of it came."""

import random
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import grpc

from mesh.arrow.flight_pb2_grpc import FlightServiceStub
from mesh.errors import MeshError
from mesh.wire.status import from_rpc_error
from tests.e2e.town import PURPOSE
from tests.unit.flight import wire

_COLUMNS = "passenger_id, name, email, country"
_ENDLESS = """
SELECT a.email, b.email AS other
FROM reservations.passengers a CROSS JOIN reservations.passengers b
"""
_ROWS = (1, 50, 2_000, 20_000)
# What readers expect to be told when an agent is killed, stops, or has no room for evidence.
GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED, grpc.StatusCode.UNKNOWN)
# Refusals that pass: no room for evidence, no free worker, an agreement that is not enforced yet
# or not any more.
_PASSING = frozenset(
    {
        "evidence.unavailable",
        "agent.overloaded",
        "agreement.missing",
        "agreement.revoked",
        "statement.revoked",
    }
)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a client got of one statement."""

    receipt: str
    bytes: int
    batches: int
    end: str


@dataclass(slots=True)
class Reader:
    """A client that reads on and on in a thread of its own, until its agent is gone."""

    uri: str
    token: str
    rng: random.Random
    began: float
    refused_too: bool = False
    expected: frozenset[str] = frozenset()
    endless: bool = False
    streaming: bool = False
    seen: list[Seen] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    first: float | None = None
    _stopping: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Read from now on."""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finish the statement under way, and stop."""
        self._stopping.set()
        self.join()

    def join(self) -> None:
        """Wait until it has stopped."""
        assert self._thread is not None
        self._thread.join(60)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        with grpc.insecure_channel(self.uri.removeprefix("grpc://")) as channel:
            while not self._stopping.is_set() and self._once(channel):
                pass

    def _once(self, channel: grpc.Channel) -> bool:
        """One statement; False when the agent is gone."""
        metadata = (("authorization", f"Bearer {self.token}"), ("x-mesh-purpose", PURPOSE))
        if self.refused_too and self.rng.random() < 0.3:
            return self._refused(channel, metadata)
        sql = f"SELECT {_COLUMNS} FROM reservations.passengers LIMIT {self.rng.choice(_ROWS)}"
        if self.endless:
            sql = _ENDLESS
        most = 1 if self.rng.random() < 0.1 and not self.endless else None
        receipt, size, batches = "", 0, 0
        try:
            ticket = wire.info(channel, metadata, sql).endpoint[0].ticket
            call = FlightServiceStub(channel).DoGet(ticket, metadata=metadata, timeout=30)
            receipt = str(dict(call.initial_metadata()).get("x-mesh-receipt", ""))
            for message in call:
                size += len(message.data_body)
                batches += bool(message.data_body)
                self.streaming = True
                if self.endless:
                    # A slow reader, so that a hundred of them leave the agent some time.
                    self._stopping.wait(0.05)
                if batches and self.first is None:
                    self.first = time.monotonic() - self.began
                if most is not None and batches >= most:
                    call.cancel()
                    self.seen.append(Seen(receipt, size, batches, "left"))
                    return True
        except grpc.RpcError as error:
            return self._failed(error, Seen(receipt, size, batches, "failed"))
        finally:
            self.streaming = False
        self.seen.append(Seen(receipt, size, batches, "complete"))
        return True

    def _refused(self, channel: grpc.Channel, metadata: wire.Metadata) -> bool:
        try:
            wire.info(channel, metadata, "SELECT nothing FROM reservations.passengers")
        except grpc.RpcError as error:
            return self._failed(error, None)
        self.errors.append("a statement was served that must be refused")
        return True

    def _failed(self, error: grpc.RpcError, seen: Seen | None) -> bool:
        refusal: MeshError = from_rpc_error(error, "the agent")
        reason = refusal.reason_id
        if seen is None and "receipt" in refusal.metadata:
            self.seen.append(Seen(refusal.metadata["receipt"], 0, 0, "refused"))
            return True
        if seen is not None and seen.receipt:
            self.seen.append(seen)
            if reason == "evidence.unavailable":
                self.errors.append(f"{seen.batches} batches left, then: {refusal.message}")
        if error.code() in GONE and reason not in _PASSING | self.expected:
            return False
        self.refusals[reason] += 1
        if reason not in _PASSING | self.expected:
            self.errors.append(f"{reason}: {refusal.message}")
        # What is refused now may be allowed in a moment; nothing tells when.
        self._stopping.wait(0.05)
        return True


def readers(
    uri: str, tokens: Sequence[str], rng: random.Random, began: float, *, refused_too: bool
) -> list[Reader]:
    """One reader for each token, reading."""
    found = [
        Reader(uri, token, random.Random(rng.random()), began, refused_too)  # noqa: S311
        for token in tokens
    ]
    for one in found:
        one.start()
    return found
