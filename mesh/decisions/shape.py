"""Whether a layer decides every sample within the deadline, as a decision should be."""

import time
from dataclasses import dataclass, field

from mesh.decisions.causes import Causes
from mesh.decisions.deciding import check_masks
from mesh.decisions.definitions import Definition, definitions
from mesh.decisions.documents import parse_decision
from mesh.decisions.engines import ACCESS_ENTRYPOINT
from mesh.decisions.modules import Problem
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_process import EvaluationFailed, WorkerLost
from mesh.decisions.regopy_runner import Runner
from mesh.decisions.samples import Sample, samples
from mesh.decisions.statements import GATHERED, malformed
from mesh.errors import PolicyError
from mesh.evidence.canonical import canonical

SECONDS = 60.0


def shape_problems(
    policy: Policy, library: Policy, layer: str, seconds: float = SECONDS
) -> list[Problem]:
    """What keeps the policy, the library with a layer, from deciding the samples.

    Raises PolicyInvalid when the policy does not load.
    """
    looked = [ACCESS_ENTRYPOINT, *(f"mesh/layers/{name}" for name in GATHERED.values())]
    own = {path: text for path, text in policy.modules.items() if path.startswith(f"{layer}/")}
    found = _Found(definitions(own))
    end = time.monotonic() + seconds
    alone, layered = Runner(library.modules, looked[:1]), Runner(policy.modules, looked)
    causes = Causes(policy.modules, found.every, end)
    try:
        for sample in samples():
            if time.monotonic() > end:
                found.add("", 0, f"its rules are too slow to be tried within {seconds:g} s", sample)
                break
            _try(sample, alone, layered, causes, found)
    finally:
        for runner in (alone, layered, causes):
            runner.end()
    return found.problems()


@dataclass(slots=True)
class _Found:
    """Problems with the samples that show them, and the definitions they are sought in."""

    every: list[Definition]
    samples: dict[tuple[str, int, str], list[Sample]] = field(default_factory=dict)

    def add(self, path: str, line: int, words: str, sample: Sample) -> None:
        shown = self.samples.setdefault((path, line, words), [])
        if sample not in shown:
            shown.append(sample)

    def add_at(self, definition: Definition | None, words: str, sample: Sample) -> None:
        if definition is None:
            self.add("", 0, words, sample)
        else:
            self.add(definition.path, definition.line, words, sample)

    def stating(self, name: str, rule: str | None) -> Definition | None:
        """The definition that states something under a name, and for a rule if it names one."""
        own = [one for one in self.every if one.name == name]
        naming = [one for one in own if rule is not None and f'"{rule}"' in one.text]
        return next(iter(naming or own), None)

    def problems(self) -> list[Problem]:
        found = []
        for (path, line, words), shown in self.samples.items():
            others = len(shown) - 1
            more = f", and on {others} other input{'s' if others > 1 else ''}" if others else ""
            found.append(Problem(path, line, f"{words}; on {shown[0].words}{more}"))
        return sorted(found)


def _try(sample: Sample, alone: Runner, layered: Runner, causes: Causes, found: _Found) -> None:
    body = canonical(sample.document)
    try:
        value = layered.ask(ACCESS_ENTRYPOINT, body)
    except (EvaluationFailed, WorkerLost) as failed:
        for definition, words in causes.of(failed, body):
            found.add_at(definition, words, sample)
        return
    try:
        decision = parse_decision(value)
        check_masks(decision, sample.document)
    except PolicyError as error:
        if not _stated(sample, body, layered, found):
            found.add_at(None, error.message, sample)
        return
    if PolicyError.reason not in decision.reasons:
        return
    own = parse_decision(alone.ask(ACCESS_ENTRYPOINT, body))
    if PolicyError.reason not in own.reasons and not _stated(sample, body, layered, found):
        found.add_at(None, "the library can't apply what the layer states", sample)


def _stated(sample: Sample, body: bytes, layered: Runner, found: _Found) -> bool:
    """Look for malformed statements; whether there are any."""
    match sample.document:
        case {"dataset": {"classes": [*classes]}}:
            ids = [class_["id"] for class_ in classes]
        case _:
            ids = []
    some = False
    for name, gathered in GATHERED.items():
        try:
            value = layered.ask(f"mesh/layers/{gathered}", body)
        except (EvaluationFailed, WorkerLost):
            continue
        for one in malformed(name, value, ids):
            some = True
            words = f"`{name}` states what can't be applied: {one.words}"
            found.add_at(found.stating(name, one.rule), words, sample)
    return some
