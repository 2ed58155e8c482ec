"""The embedded engine: rego-cpp through regopy, in a process of its own."""

import logging
import threading

from mesh.decisions.engines import ACCESS_ENTRYPOINT, DEADLINE
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_process import (
    EvaluationFailed,
    RegopyProcess,
    WorkerLost,
)
from mesh.errors import PolicyError, PolicyInvalid

_log = logging.getLogger(__name__)


class RegopyEngine:
    """Evaluates in one worker, one at a time. A lost worker denies once and is replaced."""

    name = "regopy"

    def __init__(self, entrypoint: str = ACCESS_ENTRYPOINT, deadline: float = DEADLINE) -> None:
        """The deadline of one evaluation is in seconds of the worker's CPU time."""
        self._entrypoint = entrypoint
        self._deadline = deadline
        self._lock = threading.Lock()
        self._policy: Policy | None = None
        self._worker: RegopyProcess | None = None
        self._closed = False

    @property
    def worker_pid(self) -> int | None:
        """The process that evaluates now."""
        return self._worker.pid if self._worker else None

    def load(self, policy: Policy) -> None:
        with self._lock:
            if self._closed:
                raise PolicyInvalid("the engine is closed and loads no policy")
            if self._worker is None:
                self._worker = RegopyProcess(self._deadline)
            try:
                self._worker.load(policy.modules, [self._entrypoint])
            except EvaluationFailed as failed:
                raise PolicyInvalid(f"the policy does not compile: {failed}") from None
            except WorkerLost as lost:
                self._replace()
                raise PolicyInvalid(f"the policy does not load: {lost}") from None
            self._policy = policy

    def evaluate(self, document: bytes) -> object:
        with self._lock:
            if self._worker is None:
                self._replace()
            if self._worker is None or self._policy is None:
                raise PolicyError("no policy is loaded, so nothing is allowed")
            try:
                return self._worker.evaluate(self._entrypoint, document)
            except EvaluationFailed as failed:
                raise PolicyError(f"the policy could not decide: {failed}") from None
            except WorkerLost as lost:
                self._replace()
                raise PolicyError(f"the policy could not decide: {lost}") from None

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._policy = None
            if self._worker is not None:
                self._worker.end()
                self._worker = None

    def _replace(self) -> None:
        """A new worker with the policy in force; without one, evaluations try again."""
        self._worker = None
        if self._policy is None:
            return
        _log.warning("replacing the policy worker")
        worker = RegopyProcess(self._deadline)
        try:
            worker.load(self._policy.modules, [self._entrypoint])
        except (EvaluationFailed, WorkerLost) as error:
            _log.error("the policy worker can't be replaced: %s", error)
            return
        self._worker = worker
