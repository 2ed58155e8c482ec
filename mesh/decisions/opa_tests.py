"""Runs the `test_` rules of a layer on OPA."""

from collections.abc import Mapping

from mesh.decisions.opa_folder import CAPABILITIES, LAYER, LIBRARY, bare, opa_folder, problems_in
from mesh.decisions.opa_program import Opa
from mesh.decisions.policy import Policy
from mesh.decisions.testing import TestOutcome
from mesh.errors import PolicyError, PolicyInvalid


def outcomes(opa: Opa, texts: Mapping[str, str], library: Policy) -> list[TestOutcome]:
    """Every test's outcome, by module. Raises PolicyInvalid when a module does not compile."""
    with opa_folder(opa) as folder:
        folder.put(LAYER, bare(texts))
        folder.put(".", bare(library.modules))
        folder.capabilities(library.modules)
        said = folder.run(
            *("test", "--capabilities", CAPABILITIES, "--format", "json", LAYER, LIBRARY)
        )
    document = said.document()
    if isinstance(document, list):
        return sorted((_outcome(one) for one in document), key=lambda one: (one.path, one.line))
    if said.good:
        return []
    told = "; ".join(str(problem) for problem in problems_in(said))
    raise PolicyInvalid(f"the policy does not compile: {told}")


def _outcome(told: object) -> TestOutcome:
    match told:
        case {
            "package": str(package),
            "name": str(name),
            "location": {"file": str(file), "row": int(row)},
            **more,
        }:
            full = f"{package.removeprefix('data.')}.{name}"
            return TestOutcome(full, _failure(more), file.removeprefix(f"{LAYER}/"), row)
    raise PolicyError("opa says something that is no test")


def _failure(told: Mapping[object, object]) -> str | None:
    if told.get("error"):
        return "it can't be evaluated"
    if told.get("fail"):
        return "its value is not true"
    return "it is skipped" if told.get("skip") else None
