"""Errors become statuses in all four shapes of RPC, on both kinds of server."""

from __future__ import annotations  # gRPC's classes are generic in their stubs only

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
import pytest
from grpc import aio

from control_plane.calls import CALLER, current_caller
from control_plane.database import TransactionInterrupted
from control_plane.interceptors import CallInterceptor
from domain_agent.interceptors import Refusals
from mesh.errors import (
    AgreementNotFound,
    ControlUnavailable,
    InternalError,
    MeshError,
    TokenMissing,
)
from mesh.identity.principal import Caller
from mesh.wire.status import from_rpc_error

SERVICE = "test.Shapes"
SHAPES = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
SECRET = "a-data-value"
LOG = logging.getLogger("test.interceptors")


def fail(request: bytes) -> None:
    match request:
        case b"refused":
            raise AgreementNotFound("there is no agreement 'x'", agreement="x")
        case b"bug":
            raise RuntimeError(SECRET)


class Open:
    """Lets every call in, and remembers what it was asked."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str | None]] = []

    def admit(self, method: str, token: str, domain: str | None) -> Caller | None:
        self.calls.append((method, token, domain))
        if token == "bad":
            raise TokenMissing("no")
        return None


def _sync_handlers() -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    def unary_unary(request: bytes, context: object) -> bytes:
        fail(request)
        return request

    def unary_stream(request: bytes, context: object) -> Iterator[bytes]:
        yield b"first"
        fail(request)

    def stream_unary(requests: Iterator[bytes], context: object) -> bytes:
        for request in requests:
            fail(request)
        return b"done"

    def stream_stream(requests: Iterator[bytes], context: object) -> Iterator[bytes]:
        for request in requests:
            yield b"first"
            fail(request)

    return _handlers((unary_unary, unary_stream, stream_unary, stream_stream))


def _async_handlers() -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    def unary_unary(request: bytes, context: object) -> bytes:
        assert threading.current_thread().name.startswith("call")
        assert CALLER.get() is None
        fail(request)
        return request

    async def unary_stream(request: bytes, context: object) -> AsyncIterator[bytes]:
        yield b"first"
        fail(request)

    async def stream_unary(requests: AsyncIterator[bytes], context: object) -> bytes:
        async for request in requests:
            fail(request)
        return b"done"

    async def stream_stream(
        requests: AsyncIterator[bytes], context: object
    ) -> AsyncIterator[bytes]:
        async for request in requests:
            yield b"first"
            fail(request)

    return _handlers((unary_unary, unary_stream, stream_unary, stream_stream))


def _handlers(
    functions: tuple[Callable[..., Any], ...],
) -> dict[str, grpc.RpcMethodHandler[Any, Any]]:
    return {
        name: getattr(grpc, f"{name}_rpc_method_handler")(function)
        for name, function in zip(SHAPES, functions, strict=True)
    }


class Interrupted(Open):
    """As a database that interrupts so many times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.left = times

    def admit(self, method: str, token: str, domain: str | None) -> Caller | None:
        caller = super().admit(method, token, domain)
        if self.left > 0:
            self.left -= 1
            raise TransactionInterrupted("nothing was changed", server="")
        return caller


@contextmanager
def sync_server() -> Iterator[str]:
    server = grpc.server(ThreadPoolExecutor(4), interceptors=[Refusals()])
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(SERVICE, _sync_handlers()),)
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(None).wait()


@contextmanager
def async_server(admission: Open) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def start() -> tuple[aio.Server, int]:
        server = aio.server(
            migration_thread_pool=ThreadPoolExecutor(4, thread_name_prefix="call"),
            interceptors=[CallInterceptor(admission, LOG)],
        )
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler(SERVICE, _async_handlers()),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        return server, port

    server, port = asyncio.run_coroutine_threadsafe(start(), loop).result(10)
    yield f"127.0.0.1:{port}"

    async def stop() -> None:
        await server.stop(None)
        # gRPC answers the caller before its handler's tasks have ended.
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(stop(), loop).result(10)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.fixture(params=["sync", "async"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    with sync_server() if request.param == "sync" else async_server(Open()) as address:
        yield address


def call(address: str, shape: str, request: bytes, token: str = "") -> list[bytes]:
    with grpc.insecure_channel(address) as channel:
        method = getattr(channel, shape)(f"/{SERVICE}/{shape}")
        argument = iter([request]) if shape.startswith("stream") else request
        metadata = [("authorization", f"Bearer {token}")] if token else []
        answer = method(argument, timeout=10, metadata=metadata)
        return list(answer) if shape.endswith("_stream") else [answer]


def error_of(address: str, shape: str, request: bytes, token: str = "") -> MeshError:
    with pytest.raises(grpc.RpcError) as refused:
        call(address, shape, request, token)
    return from_rpc_error(refused.value, "test")


@pytest.mark.parametrize("shape", SHAPES)
def test_an_answer_passes_unchanged(address: str, shape: str) -> None:
    assert call(address, shape, b"fine")[0] in (b"fine", b"first", b"done")


@pytest.mark.parametrize("shape", SHAPES)
def test_a_refusal_keeps_its_reason(address: str, shape: str) -> None:
    error = error_of(address, shape, b"refused")
    assert isinstance(error, AgreementNotFound)
    assert error.metadata == {"agreement": "x"}
    assert error.message == "there is no agreement 'x'"


@pytest.mark.parametrize("shape", SHAPES)
def test_a_bug_tells_a_call_id_and_nothing_else(
    address: str, shape: str, caplog: pytest.LogCaptureFixture
) -> None:
    error = error_of(address, shape, b"bug")
    assert isinstance(error, InternalError)
    assert SECRET not in error.message
    assert "Traceback" not in error.message
    loggers = (LOG.name, "domain_agent.interceptors")
    (record,) = [record for record in caplog.records if record.name in loggers]
    assert error.metadata["call_id"] in record.getMessage()
    assert record.exc_info is not None
    assert SECRET in str(record.exc_info[1])


@pytest.mark.parametrize("shape", SHAPES)
def test_admission_is_asked_before_any_handler(shape: str) -> None:
    admission = Open()
    with async_server(admission) as address:
        assert isinstance(error_of(address, shape, b"fine", token="bad"), TokenMissing)
    assert admission.calls == [(f"/{SERVICE}/{shape}", "bad", None)]


def test_a_call_open_to_anybody_has_no_caller() -> None:
    with pytest.raises(TokenMissing):
        current_caller()


def test_a_long_message_is_cut_to_what_a_status_carries() -> None:
    class Long(Open):
        def admit(self, method: str, token: str, domain: str | None) -> Caller | None:
            raise AgreementNotFound("é" * 20_000)

    with async_server(Long()) as address:
        error = error_of(address, "unary_unary", b"fine")
    assert isinstance(error, AgreementNotFound)
    assert error.message.endswith("…")


def test_a_call_that_the_database_interrupted_is_answered_again() -> None:
    admission = Interrupted(times=2)
    with async_server(admission) as address:
        assert call(address, "unary_unary", b"fine") == [b"fine"]
    assert len(admission.calls) == 3


def test_a_call_that_is_always_interrupted_is_told_so() -> None:
    admission = Interrupted(times=1_000)
    with async_server(admission) as address:
        error = error_of(address, "unary_unary", b"fine")
    assert isinstance(error, ControlUnavailable)
    assert 2 < len(admission.calls) < 10
