"""Which rule of a layer keeps the engine from an answer, found by asking for each alone."""

import time
from collections.abc import Mapping

from mesh.decisions.definitions import Definition, recursive, roots
from mesh.decisions.engines import DEADLINE
from mesh.decisions.regopy_process import (
    EvaluationFailed,
    EvaluationRecursive,
    EvaluationUndefined,
    WorkerLate,
    WorkerLost,
)
from mesh.decisions.regopy_runner import Runner
from mesh.decisions.statements import GATHERED
from mesh.errors import PolicyInvalid

SLOW = f"it takes more than {DEADLINE * 1000:g} ms of CPU time: a loop, or too many combinations"
CRASH = "it ends the engine"
RECURSION = "it depends on itself"
CONFLICT = "it gives several values at once: definitions of one name must never hold together"
BUILTIN = "it calls a built-in function with what that can't take"
UNDEFINED = "the decision is undefined"
SHAPE = "it states what the library can't read: an object, as docs/policies.md shows"
# A layer of more rules is not looked into; its problem is told without a place.
_MOST_RULES = 500


class Causes:
    """Looks into failures of a policy until an end on the monotonic clock."""

    def __init__(self, modules: Mapping[str, str], every: list[Definition], end: float) -> None:
        self._modules, self._every, self._end = modules, every, end
        self._asked = list(dict.fromkeys(d.entrypoint for d in every if not d.is_function))
        self._strict: Runner | None = None
        self._lenient: Runner | None = None

    def of(self, failed: Exception, body: bytes) -> list[tuple[Definition | None, str]]:
        """Where and why an evaluation failed; without a place when that can't be told."""
        match failed:
            case EvaluationUndefined():
                return [(None, UNDEFINED)]
            case EvaluationRecursive():
                return [(one, RECURSION) for one in self._recursive()] or [(None, RECURSION)]
            case WorkerLate():
                return self._failing(body, WorkerLate, SLOW)
            case WorkerLost():
                return self._failing(body, WorkerLost, CRASH)
            case _:
                return self._failed(body)

    def end(self) -> None:
        """Kill the workers."""
        for runner in (self._strict, self._lenient):
            if runner is not None:
                runner.end()

    def _recursive(self) -> list[Definition]:
        return recursive(self._every) if len(self._asked) <= _MOST_RULES else []

    def _failing(
        self, body: bytes, kind: type[Exception], words: str
    ) -> list[tuple[Definition | None, str]]:
        names = {name for name, failure in self._ask(body).items() if isinstance(failure, kind)}
        return self._at(names, words) or [(None, words)]

    def _failed(self, body: bytes) -> list[tuple[Definition | None, str]]:
        """Without strict built-ins only a conflict still fails."""
        strict = {n for n, f in self._ask(body).items() if _plainly(f)}
        lenient = {n for n, f in self._ask(body, strict=False).items() if _plainly(f)}
        found = self._at(lenient, CONFLICT) + self._at(strict - lenient, BUILTIN, calling=True)
        if found:
            return found
        stated = [one for one in self._every if one.name in GATHERED]
        return [(one, SHAPE) for one in stated] or [(None, "the decision fails")]

    def _at(
        self, names: set[str], words: str, *, calling: bool = False
    ) -> list[tuple[Definition | None, str]]:
        own = roots({name.rpartition("/")[2] for name in names}, self._every)
        found = [one for one in self._every if one.name in own and one.entrypoint in names]
        if calling:
            found = [one for one in found if one.calls] or found
        return [(one, words) for one in found]

    def _ask(self, body: bytes, *, strict: bool = True) -> dict[str, Exception]:
        """The failure of each rule that fails when it is asked for alone."""
        failures: dict[str, Exception] = {}
        if len(self._asked) > _MOST_RULES:
            return failures
        try:
            runner = self._runner(strict=strict)
            for entrypoint in self._asked:
                if time.monotonic() > self._end:
                    break
                try:
                    runner.ask(entrypoint, body)
                except (EvaluationFailed, WorkerLost) as failed:
                    failures[entrypoint] = failed
        except PolicyInvalid:
            return {}
        return failures

    def _runner(self, *, strict: bool) -> Runner:
        held = self._strict if strict else self._lenient
        made = held or Runner(self._modules, self._asked, strict=strict)
        if strict:
            self._strict = made
        else:
            self._lenient = made
        return made


def _plainly(failure: Exception) -> bool:
    return type(failure) is EvaluationFailed
