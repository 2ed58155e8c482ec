"""Callers who insist: the same request again until the control plane has answered it."""

import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeVar

import grpc
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from mesh.errors import AgreementSettled, ControlUnavailable, MeshError
from mesh.evidence.canonical import canonical
from mesh.evidence.codec import Draft, decode_event
from mesh.evidence.events import EventType, agent_source
from mesh.evidence.merkle import Frontier, leaf_hash
from mesh.identity.tokens import agent_token
from mesh.v1 import (
    agents_pb2,
    agents_pb2_grpc,
    agreements_pb2,
    agreements_pb2_grpc,
    audit_pb2,
    audit_pb2_grpc,
    contracts_pb2,
    contracts_pb2_grpc,
    identity_pb2,
    identity_pb2_grpc,
    purposes_pb2,
    purposes_pb2_grpc,
)
from mesh.wire.events import event_to_proto
from mesh.wire.status import from_rpc_error
from tests.unit.control_plane.documents import contract

DOMAIN, PRODUCT, PURPOSE = "bookings", "reservations", "crew-planning"
_Answer = TypeVar("_Answer")
_CALL_SECONDS, _PATIENCE = 20.0, 120.0
_GONE = frozenset({grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED})
_RECONNECT = (("grpc.max_reconnect_backoff_ms", 300), ("grpc.initial_reconnect_backoff_ms", 50))


@dataclass(slots=True)
class Caller:
    """Somebody with a token, at a control plane that comes and goes."""

    channel: grpc.Channel
    token: str
    again: int = 0

    def insist(self, call: Callable[..., _Answer], request: object) -> _Answer:
        """Say the same until it is answered. Raises MeshError for an answer that is a refusal."""
        deadline = time.monotonic() + _PATIENCE
        metadata = (("authorization", f"Bearer {self.token}"),) if self.token else ()
        while True:
            try:
                return call(request, metadata=metadata, timeout=_CALL_SECONDS)
            except grpc.RpcError as error:
                refusal = from_rpc_error(error, "the control plane")
                passing = isinstance(refusal, ControlUnavailable) or error.code() in _GONE
                if not passing or time.monotonic() > deadline:
                    raise refusal from error
            self.again += 1
            time.sleep(0.02)


@contextmanager
def called(address: str, token: str) -> Iterator[Caller]:
    """A caller with a channel of their own."""
    with grpc.insecure_channel(address, _RECONNECT) as channel:
        yield Caller(channel, token)


def issue(admin: Caller, user: str, duties: Sequence[str] = ()) -> str:
    """A token for somebody."""
    principal = identity_pb2.Principal(kind="user", subject=user, duties=duties)
    call = identity_pb2_grpc.IdentityServiceStub(admin.channel).IssueToken
    return admin.insist(call, identity_pb2.IssueTokenRequest(principal=principal)).token


def add_purpose(caller: Caller, purpose: str) -> None:
    """Register a purpose."""
    call = purposes_pb2_grpc.PurposeServiceStub(caller.channel).AddPurpose
    caller.insist(call, purposes_pb2.AddPurposeRequest(id=purpose, title="a purpose"))


def publish(caller: Caller, version: str) -> None:
    """Publish a version of the product."""
    call = contracts_pb2_grpc.ContractServiceStub(caller.channel).PublishContract
    document = contract(PRODUCT, DOMAIN, version)
    caller.insist(call, contracts_pb2.PublishContractRequest(document=document))


def request_access(caller: Caller) -> str:
    """Ask with a request id; the agreement's id."""
    call = agreements_pb2_grpc.AgreementServiceStub(caller.channel).RequestAgreement
    request = agreements_pb2.RequestAgreementRequest(
        request_id=str(uuid.uuid4()),
        domain=DOMAIN,
        product=PRODUCT,
        role="analyst",
        purpose=PURPOSE,
        justification="a test",
    )
    return caller.insist(call, request).agreement.id


def approve(caller: Caller, agreement: str) -> None:
    """Approve; that it is active already is the answer to a repeated request."""
    call = agreements_pb2_grpc.AgreementServiceStub(caller.channel).ApproveAgreement
    try:
        caller.insist(call, agreements_pb2.ApproveAgreementRequest(id=agreement))
    except AgreementSettled as settled:
        if settled.metadata["state"] != "active":
            raise


@dataclass(slots=True)
class Appender:
    """An enrolled agent that appends on and on. What was acknowledged is never sent again."""

    agent: str
    key: Ed25519PrivateKey
    batch: int
    acknowledged: int = 0
    again: int = 0
    failures: list[MeshError] = field(default_factory=list)
    _records: list[bytes] = field(default_factory=list)

    def enrol(self, admin: Caller) -> None:
        """Become an agent of the domain."""
        stub = agents_pb2_grpc.AgentServiceStub(admin.channel)
        asked = agents_pb2.CreateJoinTokenRequest(domain=DOMAIN)
        join_token = admin.insist(stub.CreateJoinToken, asked).token
        request = agents_pb2.EnrolAgentRequest(
            join_token=join_token,
            id=self.agent,
            public_key=self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw),
            proof=self.key.sign(f"meshwarden-enrol:{join_token}:{self.agent}".encode()),
        )
        admin.insist(stub.EnrolAgent, request)

    def run(self, address: str, stop: threading.Event) -> None:
        """Append batch after batch."""
        try:
            with called(address, "") as caller:
                while not stop.is_set():
                    caller.token = self._token()
                    self._append(caller)
                self.again = caller.again
        except MeshError as error:
            self.failures.append(error)

    def head(self) -> tuple[int, str]:
        """Size and root of what was acknowledged."""
        leaves = [leaf_hash(record) for record in self._records[: self.acknowledged]]
        frontier = Frontier().extend(leaves)
        return frontier.size, frontier.root.hex()

    def _token(self) -> str:
        return agent_token(DOMAIN, self.agent, self.key, uuid.uuid4().hex, datetime.now(UTC))

    def _append(self, caller: Caller) -> None:
        first = len(self._records) + 1
        self._records += [self._record(first + number) for number in range(self.batch)]
        events = [event_to_proto(decode_event(one)) for one in self._records[first - 1 :]]
        call = audit_pb2_grpc.AuditServiceStub(caller.channel).AppendEvents
        reply = caller.insist(call, audit_pb2.AppendEventsRequest(events=events))
        assert reply.stored_sequence == len(self._records)
        self.acknowledged = reply.stored_sequence

    def _record(self, sequence: int) -> bytes:
        name = f"{self.agent}-{sequence}"
        source, now = agent_source(DOMAIN, self.agent), datetime.now(UTC)
        data = canonical({"rows": sequence})
        return Draft(name, source, EventType.REFUSED, now, name, data).record(sequence)


@contextmanager
def appending(
    admin: Caller, address: str, names: Sequence[str], batch: int
) -> Iterator[list[Appender]]:
    """New agents that append until the block ends; none may have been refused."""
    stop = threading.Event()
    appenders = [Appender(name, Ed25519PrivateKey.generate(), batch) for name in names]
    for one in appenders:
        one.enrol(admin)
    threads = [threading.Thread(target=one.run, args=(address, stop)) for one in appenders]
    for thread in threads:
        thread.start()
    try:
        yield appenders
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    for one in appenders:
        assert not one.failures, one.failures
