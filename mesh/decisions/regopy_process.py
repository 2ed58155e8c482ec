"""A worker process that runs rego-cpp, from outside: asked, timed, and ended."""

import importlib
import json
import multiprocessing
import signal
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection

from mesh.decisions.regopy_protocol import EVALUATE, FAILED, LOAD, RESULT, UNDEFINED, Limits

_START_SECONDS = 30.0
LOAD_SECONDS = 2.0
_PATIENCE = 20
# rego-cpp's answer is then no result but a dump of its syntax tree.
_RECURSION, _NEAR = b"Recursion detected", 100


class WorkerLost(Exception):
    """The worker died, or was late; it is ended and can't be asked again."""


class WorkerLate(WorkerLost):
    """It used up its time."""


class EvaluationFailed(Exception):
    """The worker is well; the modules do not build, or the evaluation failed."""


class EvaluationUndefined(EvaluationFailed):
    """There is no result."""


class EvaluationRecursive(EvaluationFailed):
    """A rule depends on itself."""


class RegopyProcess:
    """One worker. Not thread-safe."""

    def __init__(self, deadline: float, load_seconds: float = LOAD_SECONDS) -> None:
        """The deadline, and what loading may take, are in seconds of the worker's CPU time.

        A machine busy with other work does not use that up. A worker that gets no CPU at all is
        given up after twenty times as long on the wall's clock.
        """
        self._deadline, self._load_seconds = deadline, load_seconds
        spawning = multiprocessing.get_context("spawn")
        self._connection, theirs = spawning.Pipe()
        limits = Limits(load=load_seconds, evaluate=deadline)
        self._process = spawning.Process(
            target=_serve, args=(theirs, limits), name="regopy", daemon=True
        )
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    def load(
        self, modules: Mapping[str, str], entrypoints: Sequence[str], *, strict: bool = True
    ) -> None:
        """Build modules; those loaded before stay when these are refused.

        Only where failures are looked into, a built-in that fails may be undefined instead.
        """
        wanted = {"modules": dict(modules), "entrypoints": list(entrypoints), "strict": strict}
        most = f"{self._load_seconds:g} s for loading"
        reply = self._ask(LOAD + json.dumps(wanted).encode(), _START_SECONDS, most)
        if reply[:1] != RESULT:
            raise EvaluationFailed(reply[1:].decode())

    def evaluate(self, entrypoint: str, document: bytes) -> object:
        """The one value of an entrypoint."""
        request = EVALUATE + entrypoint.encode() + b"\0" + document
        most = f"{self._deadline * 1000:g} ms for one evaluation"
        reply = self._ask(request, _PATIENCE * self._deadline, most)
        if reply[:1] == UNDEFINED:
            raise EvaluationUndefined("the policy is undefined for this input")
        if reply[:1] == FAILED:
            raise EvaluationFailed("the policy failed on this input")
        try:
            output = json.loads(reply[1:])
        except ValueError:
            if _RECURSION in reply[:_NEAR]:
                raise EvaluationRecursive("a rule of the policy depends on itself") from None
            raise EvaluationFailed("the policy's result is not JSON") from None
        match output:
            case {"expressions": [value], **rest} if not rest:
                return value
        raise EvaluationFailed("the policy has not exactly one result")

    def end(self) -> None:
        """Kill the process and forget it."""
        self._connection.close()
        if self._process.is_alive():
            self._process.kill()
        self._process.join()
        self._process.close()

    def _ask(self, request: bytes, seconds: float, most: str) -> bytes:
        try:
            self._connection.send_bytes(request)
            if self._connection.poll(seconds):
                return self._connection.recv_bytes()
        except (EOFError, OSError):
            self._process.join(1)
            code = self._process.exitcode
            self.end()
            lost = WorkerLate if code == -signal.SIGPROF else WorkerLost
            raise lost(_death(code, most)) from None
        self.end()
        raise WorkerLate(f"no answer within {seconds:g} s")


def _serve(connection: Connection, limits: Limits) -> None:
    """Runs in the worker; only there is rego-cpp imported."""
    importlib.import_module("mesh.decisions.regopy_worker").run(connection, limits)


def _death(code: int | None, most: str) -> str:
    if code == -signal.SIGPROF:
        return f"it used up its CPU time ({most})"
    return f"its worker died with status {code}"
