"""The checks of what is pushed, told as the wire has them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from control_plane.policies import rules
from mesh.decisions.checking import check_layer
from mesh.decisions.opa_program import Opa
from mesh.decisions.policy import Policy
from mesh.v1 import policies_pb2


@dataclass(frozen=True, slots=True)
class LayerReport:
    """How each check went, and what was found."""

    outcomes: Mapping[str, str]
    problems: Sequence[policies_pb2.PolicyProblem]
    failed: bool


class LayerChecks:
    """Checks a layer against the library that is shipped, with OPA where there is one."""

    def __init__(self, library: Policy, opa: Opa | None, coverage: float) -> None:
        self._library, self._opa, self._coverage = library, opa, coverage

    def report(self, layer: str, pushed: Policy) -> LayerReport:
        """Every check's outcome. Paths are told below the pushed folder."""
        folder = rules.folder_of(layer)
        modules = {path.removeprefix(f"{folder}/"): text for path, text in pushed.modules.items()}
        found = check_layer(folder, modules, self._library, self._opa, self._coverage)
        return LayerReport(
            {check.name: check.outcome.value for check in found.checks},
            [
                policies_pb2.PolicyProblem(
                    check=check.name, path=one.path, line=one.line, message=one.message
                )
                for check in found.checks
                for one in check.problems
            ],
            found.failed,
        )
