"""Asks modules many things on the embedded engine; a worker that is lost is replaced."""

from collections.abc import Mapping, Sequence

from mesh.decisions.engines import DEADLINE
from mesh.decisions.regopy_process import EvaluationFailed, RegopyProcess, WorkerLost
from mesh.errors import PolicyInvalid

# Building `with` takes long: each copies the rules it reaches.
PATIENT_SECONDS = 30.0


class Runner:
    """A worker with modules loaded. Not thread-safe."""

    def __init__(
        self,
        modules: Mapping[str, str],
        entrypoints: Sequence[str],
        deadline: float = DEADLINE,
        *,
        strict: bool = True,
        load_seconds: float = PATIENT_SECONDS,
    ) -> None:
        """Raises PolicyInvalid when the modules do not load."""
        self._modules, self._entrypoints = modules, entrypoints
        self._deadline, self._strict, self._load_seconds = deadline, strict, load_seconds
        self._worker: RegopyProcess | None = self._start()

    def ask(self, entrypoint: str, document: bytes) -> object:
        """The one value. Raises EvaluationFailed or WorkerLost."""
        self._worker = self._worker or self._start()
        try:
            return self._worker.evaluate(entrypoint, document)
        except WorkerLost:
            self._worker = None
            raise

    def end(self) -> None:
        """Kill the worker."""
        if self._worker is not None:
            self._worker.end()
            self._worker = None

    def _start(self) -> RegopyProcess:
        worker = RegopyProcess(self._deadline, self._load_seconds)
        try:
            worker.load(self._modules, self._entrypoints, strict=self._strict)
        except EvaluationFailed as failed:
            worker.end()
            raise PolicyInvalid(f"the policy does not compile: {failed}") from None
        except WorkerLost as lost:
            raise PolicyInvalid(f"the policy does not load: {lost}") from None
        return worker
