"""What surrounds every call of the agent's server: refusals as statuses, and limited patience."""

import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc

from mesh import errors
from mesh.wire.failures import failure

_LOG = logging.getLogger(__name__)

HANDLERS = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}
if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]  # only the stubs are generic
else:
    Handler = grpc.RpcMethodHandler
Behaviour = Callable[[Any, grpc.ServicerContext], Any]
Metadata = Iterable[tuple[str, str | bytes]]
Continuation = Callable[[grpc.HandlerCallDetails], Handler | None]


class NotServed(Exception):
    """A part of a protocol that the agent leaves out; clients know how to live without it."""


class Refusals(grpc.ServerInterceptor):
    """Turns what a servicer raises into a status; what it didn't mean to raise, into a call id."""

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        behaviour = _behaviour(handler)
        method = handler_call_details.method

        def one(request: Any, context: grpc.ServicerContext) -> Any:
            with self._refusing(method, context):
                return behaviour(request, context)

        def many(request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
            with self._refusing(method, context):
                yield from behaviour(request, context)

        wrapped = many if handler.response_streaming else one
        return _rebuilt(handler, wrapped, handler.request_streaming)

    @contextmanager
    def _refusing(self, method: str, context: grpc.ServicerContext) -> Iterator[None]:
        try:
            yield
        except NotServed as error:
            context.abort(grpc.StatusCode.UNIMPLEMENTED, str(error))
        except grpc.RpcError:
            raise  # the call is over: grpcio raises this at whoever still uses its context
        except Exception as error:  # noqa: BLE001 - a refusal, or a bug that no client may see
            end = failure(error, method, _LOG)
            context.set_trailing_metadata(end.trailing)
            context.abort(end.code, end.message)


class Callers(grpc.ServerInterceptor):
    """Refuses who proves nothing before anything of theirs is waited for.

    `check` raises for a call's metadata; methods whose name starts with one of `free` need none.
    """

    def __init__(self, check: Callable[[Metadata], object], free: tuple[str, ...]) -> None:
        self._check, self._free = check, free

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        handler = continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(self._free):
            return handler
        try:
            self._check(handler_call_details.invocation_metadata or ())
        except errors.MeshError as refused:
            return _rebuilt(handler, _raising(refused, handler.response_streaming), True)
        return handler


def _raising(error: errors.MeshError, streaming: bool) -> Behaviour:
    def one(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        raise error

    def many(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        yield from ()
        raise error

    return many if streaming else one


class Alarms:
    """Runs an action if a block of code does not end in time; one thread for all blocks."""

    def __init__(self, elapsed: Callable[[], float], tick: float) -> None:
        self._elapsed = elapsed
        self._tick = tick
        self._keys = count()
        self._armed: dict[int, tuple[float, Callable[[], object]]] = {}
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alarms", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        self._thread.join()

    @contextmanager
    def unless_within(self, seconds: float, action: Callable[[], object]) -> Iterator[None]:
        """Run the action once if the block takes longer."""
        key = next(self._keys)
        with self._lock:
            self._armed[key] = (self._elapsed() + seconds, action)
        try:
            yield
        finally:
            with self._lock:
                self._armed.pop(key, None)

    def ring(self) -> None:
        """Run what is due."""
        now = self._elapsed()
        with self._lock:
            due = [key for key, (deadline, _) in self._armed.items() if deadline <= now]
            actions = [self._armed.pop(key)[1] for key in due]
        for action in actions:
            try:
                action()
            except Exception:  # noqa: BLE001 - one call's end must not cost the others their watch
                _LOG.exception("an alarm's action failed")

    def _run(self) -> None:
        while not self._stopped.wait(self._tick):
            self.ring()


class Patience(grpc.ServerInterceptor):
    """Cancels calls whose client keeps a thread waiting, for a message or to take one."""

    def __init__(self, alarms: Alarms, message_seconds: float, stall_seconds: float) -> None:
        self._alarms = alarms
        self._message_seconds = message_seconds
        self._stall_seconds = stall_seconds

    def intercept_service(
        self, continuation: Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> Handler | None:
        handler = continuation(handler_call_details)
        if handler is None:
            return None
        behaviour = _behaviour(handler)
        argument = self._requests if handler.request_streaming else self._request

        def one(requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
            return behaviour(argument(requests, context), context)

        def many(requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
            for response in behaviour(argument(requests, context), context):
                with self._alarms.unless_within(self._stall_seconds, context.cancel):
                    yield response

        # A unary request becomes a stream of one: grpcio would wait for it in the pool, unwatched.
        return _rebuilt(handler, many if handler.response_streaming else one, True)

    def _requests(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        while True:
            with self._alarms.unless_within(self._message_seconds, context.cancel):
                try:
                    request = next(requests)
                except StopIteration:
                    return
            yield request

    def _request(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        for request in self._requests(requests, context):
            return request
        raise errors.RequestInvalid("The call ended without a request message; send exactly one.")


def _behaviour(handler: Handler) -> Behaviour:
    if handler.request_streaming:
        found: Behaviour | None = handler.stream_stream or handler.stream_unary
    else:
        found = handler.unary_stream or handler.unary_unary
    assert found is not None  # noqa: S101 - a handler has the behaviour that its flags name
    return found


def _rebuilt(handler: Handler, behaviour: Behaviour, request_streaming: bool) -> Handler:
    build = HANDLERS[request_streaming, handler.response_streaming]
    rebuilt: Handler = build(behaviour, handler.request_deserializer, handler.response_serializer)
    return rebuilt
