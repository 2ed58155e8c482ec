"""Everything that is checked of a layer before it is pushed."""

import logging
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from mesh.decisions.bounded import lint_bounded
from mesh.decisions.checks import CHECKS, DEFAULT_FLOOR, Check, Outcome, Report
from mesh.decisions.engines import ACCESS_ENTRYPOINT
from mesh.decisions.layer_tests import layer_outcomes, layered
from mesh.decisions.layers import LAYERS
from mesh.decisions.modules import TEST_SUFFIX, Problem
from mesh.decisions.opa_checks import coverage, format_problems, strict_problems
from mesh.decisions.opa_program import Opa
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_process import LOAD_SECONDS
from mesh.decisions.regopy_runner import Runner
from mesh.decisions.samples import samples
from mesh.decisions.shape import shape_problems
from mesh.decisions.sizes import read_texts
from mesh.decisions.testing import TestOutcome
from mesh.errors import MeshError, RequestInvalid

_log = logging.getLogger(__name__)
_PLACED = re.compile(r"([a-z0-9_/]+\.rego):(\d+): (.*?)(?=; [a-z0-9_/]+\.rego:\d+: |\Z)", re.DOTALL)
NO_OPA = "there is no OPA"
TESTS_SECONDS = 120.0


@dataclass(slots=True)
class _Layer:
    """What the checks look at, and what earlier ones found for later ones."""

    name: str
    modules: Mapping[str, bytes | str]
    library: Policy
    opa: Opa | None
    floor: float
    texts: dict[str, str] = field(default_factory=dict)
    outcomes: list[TestOutcome] = field(default_factory=list)
    percent: float | None = None

    @property
    def policy(self) -> Policy:
        """The library with the layer. Raises PolicyInvalid when it is no layer."""
        return layered(self.name, self.texts, self.library)

    def pushed(self, problems: Iterable[Problem]) -> list[Problem]:
        """The problems with the paths that were pushed."""
        return [replace(one, path=one.path.removeprefix(f"{self.name}/")) for one in problems]


@dataclass(frozen=True, slots=True)
class _Step:
    """A check: what must have passed before, and what it finds and looked at."""

    needs: tuple[str, ...]
    look: Callable[[_Layer], tuple[list[Problem], str]]
    asks_opa: bool = False


def check_layer(
    layer: str,
    modules: Mapping[str, bytes | str],
    library: Policy,
    opa: Opa | None,
    floor: float = DEFAULT_FLOOR,
) -> Report:
    """Check a layer's modules, tests included, by path below its folder.

    Whatever goes wrong while checking fails that check.
    """
    if layer not in LAYERS:
        raise RequestInvalid(f"a layer is one of {', '.join(LAYERS)}; found {layer!r}")
    looked = _Layer(layer, modules, library, opa, floor)
    checks: dict[str, Check] = {}
    for name in CHECKS:
        checks[name] = _check(name, _STEPS[name], looked, checks)
    return Report(layer, tuple(checks.values()), tuple(looked.outcomes), looked.percent)


def _check(name: str, step: _Step, layer: _Layer, before: Mapping[str, Check]) -> Check:
    for needed in step.needs:
        if before[needed].outcome is not Outcome.PASSED:
            failed = before[needed].outcome is Outcome.FAILED
            why = f"{needed} failed" if failed else before[needed].about
            return Check(name, Outcome.NOT_RUN, why)
    if step.asks_opa and layer.opa is None:
        return Check(name, Outcome.NOT_RUN, NO_OPA)
    try:
        problems, about = step.look(layer)
    except MeshError as error:
        problems, about = layer.pushed(_placed(error.message)), ""
    except Exception as error:  # noqa: BLE001 - whatever fails here must refuse, and is logged whole
        _log.exception("the check %s failed", name)
        problems, about = [Problem("", 0, f"the check itself failed: {type(error).__name__}")], ""
    outcome = Outcome.FAILED if problems else Outcome.PASSED
    return Check(name, outcome, about, tuple(problems))


def _size(layer: _Layer) -> tuple[list[Problem], str]:
    layer.texts, problems = read_texts(layer.modules)
    total = sum(len(text.encode()) for text in layer.texts.values())
    return problems, f"{_count(len(layer.modules), 'module')}, {total:,} bytes"


def _rules(layer: _Layer) -> tuple[list[Problem], str]:
    modules = {f"{layer.name}/{path}": text for path, text in layer.texts.items()}
    return layer.pushed(lint_bounded(modules)), ""


def _format(layer: _Layer) -> tuple[list[Problem], str]:
    return format_problems(_opa(layer), layer.texts), ""


def _strict(layer: _Layer) -> tuple[list[Problem], str]:
    return strict_problems(_opa(layer), layer.texts, layer.library), ""


def _compile(layer: _Layer) -> tuple[list[Problem], str]:
    # Within what an agent gives it.
    Runner(layer.policy.modules, [ACCESS_ENTRYPOINT], load_seconds=LOAD_SECONDS).end()
    return [], ""


def _shape(layer: _Layer) -> tuple[list[Problem], str]:
    problems = shape_problems(layer.policy, layer.library, layer.name)
    return layer.pushed(problems), _count(len(samples()), "input")


def _tests(layer: _Layer) -> tuple[list[Problem], str]:
    found = layer_outcomes(layer.name, layer.texts, layer.library, TESTS_SECONDS)
    layer.outcomes = found
    if not found:
        return [Problem("", 0, f"there are no tests, rules `test_…` in files *{TEST_SUFFIX}")], ""
    problems = [
        Problem(one.path, one.line, f"{one.name.rpartition('.')[2]}: {one.failure}")
        for one in found
        if not one.passed
    ]
    return problems, f"{len(found) - len(problems)} of {len(found)} passed"


def _coverage(layer: _Layer) -> tuple[list[Problem], str]:
    found = coverage(_opa(layer), layer.texts, layer.library)
    layer.percent = found.percent
    about = f"{found.percent:.4g} %, at least {layer.floor:g} %"
    return (found.problems or [Problem("", 0, about)]) if found.percent < layer.floor else [], about


def _opa(layer: _Layer) -> Opa:
    if layer.opa is None:
        raise RequestInvalid(NO_OPA)
    return layer.opa


def _placed(message: str) -> list[Problem]:
    """The problems that an error's message tells with their places, else the message."""
    found = [Problem(path, int(line), what) for path, line, what in _PLACED.findall(message)]
    return sorted(set(found)) or [Problem("", 0, message)]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


_STEPS: Mapping[str, _Step] = {
    "size": _Step((), _size),
    "rules": _Step(("size",), _rules),
    "format": _Step(("size",), _format, asks_opa=True),
    "strict": _Step(("size",), _strict, asks_opa=True),
    "compile": _Step(("rules",), _compile),
    "shape": _Step(("compile",), _shape),
    # A layer that ends or stops the engine would do so in every test.
    "tests": _Step(("shape",), _tests),
    "coverage": _Step(("strict", "tests"), _coverage, asks_opa=True),
}
