"""The checks of what is pushed, told as the wire has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control_plane.policies import rules
from mesh.decisions.layers import with_declarations
from mesh.decisions.lint import lint
from mesh.decisions.modules import TEST_SUFFIX, Problem
from mesh.decisions.policy import Policy
from mesh.decisions.regopy_engine import RegopyEngine
from mesh.decisions.testing import run_tests
from mesh.errors import PolicyInvalid
from mesh.v1 import policies_pb2


@dataclass(frozen=True, slots=True)
class LayerReport:
    """How each check went, and what was found."""

    outcomes: Mapping[str, str]
    problems: Sequence[policies_pb2.PolicyProblem]

    @property
    def passed(self) -> bool:
        """Whether no check failed."""
        return not self.problems


class LayerChecks:
    """Checks a layer against the library that is shipped."""

    def __init__(self, library: Policy) -> None:
        self._library = library

    def report(self, layer: str, pushed: Policy) -> LayerReport:
        """Every check's outcome. Paths are told below the pushed folder."""
        found = [("rules", one) for one in lint(pushed.modules)]
        if not found:
            found = [("compile", one) for one in self._compile(pushed)]
        prefix = f"{rules.folder_of(layer)}/"
        return LayerReport(
            {"rules": rules.PASSED, "compile": rules.PASSED},
            [
                policies_pb2.PolicyProblem(
                    check=check,
                    path=one.path.removeprefix(prefix),
                    line=one.line,
                    message=one.message,
                )
                for check, one in found
            ],
        )

    def _compile(self, pushed: Policy) -> list[Problem]:
        modules = {
            path: text for path, text in pushed.modules.items() if not path.endswith(TEST_SUFFIX)
        }
        engine = RegopyEngine()
        try:
            engine.load(with_declarations({**self._library.modules, **modules}))
        except PolicyInvalid as error:
            return [Problem("", 0, error.message)]
        finally:
            engine.close()
        outcomes = run_tests(Policy({**self._library.modules, **pushed.modules}))
        return [Problem("", 0, f"{one.name}: {one.failure}") for one in outcomes if not one.passed]
