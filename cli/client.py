"""The control plane as commands call it: a channel, a token, a deadline, our own errors."""

from collections.abc import Callable, Generator, Iterable, Iterator
from types import TracebackType
from typing import Protocol, Self, TypeVar

import grpc

from cli.connection import Connection
from mesh.v1.agents_pb2_grpc import AgentServiceStub
from mesh.v1.agreements_pb2_grpc import AgreementServiceStub
from mesh.v1.audit_pb2_grpc import AuditServiceStub
from mesh.v1.contracts_pb2_grpc import ContractServiceStub
from mesh.v1.erasures_pb2_grpc import ErasureServiceStub
from mesh.v1.identity_pb2_grpc import IdentityServiceStub
from mesh.v1.logs_pb2_grpc import LogServiceStub
from mesh.v1.opas_pb2_grpc import OpaServiceStub
from mesh.v1.policies_pb2_grpc import PolicyServiceStub
from mesh.v1.purposes_pb2_grpc import PurposeServiceStub
from mesh.v1.status_pb2_grpc import StatusServiceStub
from mesh.wire.status import from_rpc_error
from mesh.wire.targets import channel_target

Q = TypeVar("Q")
A = TypeVar("A")
I = TypeVar("I")  # noqa: E741
MAX_MESSAGE = 4 * 1024 * 1024


class Paged(Protocol):
    """An answer that is one page of several."""

    @property
    def next_page_token(self) -> str: ...


P = TypeVar("P", bound=Paged)


class Client:
    """Stubs of every service; use it as a context manager."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._server = connection.address.target
        self._channel = channel(connection.address.target, connection.address.tls, connection.roots)
        self.agents = AgentServiceStub(self._channel)
        self.agreements = AgreementServiceStub(self._channel)
        self.audit = AuditServiceStub(self._channel)
        self.contracts = ContractServiceStub(self._channel)
        self.erasures = ErasureServiceStub(self._channel)
        self.identity = IdentityServiceStub(self._channel)
        self.logs = LogServiceStub(self._channel)
        self.opas = OpaServiceStub(self._channel)
        self.policies = PolicyServiceStub(self._channel)
        self.purposes = PurposeServiceStub(self._channel)
        self.status = StatusServiceStub(self._channel)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._channel.close()

    @property
    def roots(self) -> bytes | None:
        """The certificates to trust, for the agents too."""
        return self._connection.roots

    @property
    def timeout(self) -> float:
        """The longest wait for one answer, in seconds."""
        return self._connection.timeout

    def call(self, method: "grpc.UnaryUnaryMultiCallable[Q, A]", request: Q) -> A:
        """One answer, or the error that the server raised."""
        try:
            return method(request, timeout=self._connection.timeout, metadata=self._metadata())
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._server) from error

    def send(self, method: "grpc.StreamUnaryMultiCallable[Q, A]", requests: Iterable[Q]) -> A:
        """One answer to all that is sent, or the error that the server raised."""
        try:
            return method(
                iter(requests), timeout=self._connection.timeout, metadata=self._metadata()
            )
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._server) from error

    def stream(
        self, method: "grpc.UnaryStreamMultiCallable[Q, A]", request: Q
    ) -> Generator[A, None, None]:
        """Answers as they arrive, without a deadline; closing it cancels the call."""
        answers = method(request, metadata=self._metadata())
        try:
            yield from answers
        except grpc.RpcError as error:
            raise from_rpc_error(error, self._server) from error
        finally:
            answers.cancel()

    def pages(
        self,
        method: "grpc.UnaryUnaryMultiCallable[Q, P]",
        request: Callable[[str], Q],
        items: Callable[[P], Iterable[I]],
    ) -> Iterator[I]:
        """Every item of a list, page after page; `request` makes the one for a page token."""
        token = ""
        while True:
            page = self.call(method, request(token))
            yield from items(page)
            token = page.next_page_token
            if not token:
                return

    def _metadata(self) -> tuple[tuple[str, str], ...]:
        return (("authorization", f"Bearer {self._connection.token}"),)


def channel(
    target: str, tls: bool, roots: bytes | None, max_message: int = MAX_MESSAGE
) -> grpc.Channel:
    """A channel that tells at once when nobody answers."""
    options = [("grpc.max_receive_message_length", max_message)]
    if tls:
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), options)
    return grpc.insecure_channel(channel_target(target), options)
