"""The layers of a policy: what an organisation's and a domain's modules may state.

A layer can only restrict. It lives in its own package, states requirements one by one, and its
masks, rows, limits and ends as sets. What it requires is declared beside it, so that a
requirement whose rule fails or is undefined still denies.
"""

import re
from collections.abc import Iterator, Mapping

from mesh.decisions.modules import (
    TEST_SUFFIX,
    Problem,
    code,
    data_problems,
    package_of,
    package_span,
    problem_at,
)
from mesh.decisions.policy import Policy
from mesh.errors import PolicyInvalid

LAYERS = ("organisation", "domain")
DECLARED_PATH = "declared.rego"

_REQUIRE = re.compile(r'\bdefault[ \t]+require\b|(?<![\w.])require\b(?:\["( *)"\])?')
_SET = re.compile(r"^(?:default[ \t]+)?(masks|rows|limits|valid_until)\b(?![ \t]+contains\b)", re.M)
_ID = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)+")


def with_declarations(modules: Mapping[str, str]) -> Policy:
    """The policy of these modules and of what their layers require. Raises PolicyInvalid."""
    kept = {path: text for path, text in modules.items() if path != DECLARED_PATH}
    declared = _declared(kept)
    if declared is not None:
        kept[DECLARED_PATH] = declared
    _check_modules(kept)
    return Policy(kept)


def check_layers(policy: Policy) -> None:
    """Raise PolicyInvalid unless every module stays in its layer and all is declared."""
    _check_modules(policy.modules)
    if policy.modules.get(DECLARED_PATH) != _declared(policy.modules):
        raise PolicyInvalid(
            f"{DECLARED_PATH} does not list what the layers require; it is made from their "
            "modules, never written"
        )


def required(path: str, text: str) -> list[str]:
    """The ids of the requirements that a layer's module states. Raises PolicyInvalid."""
    for problem in _requirement_problems(path, text):
        raise PolicyInvalid(str(problem))
    return sorted({id_ for _, id_ in requirements(text)})


def requirements(text: str) -> Iterator[tuple[int, str]]:
    """Where requirements are stated by name, and their ids."""
    for match in _REQUIRE.finditer(code(text)):
        if match.group(1) is not None:
            yield match.start(), text[match.start(1) : match.end(1)]


def layer_problems(path: str, text: str) -> Iterator[Problem]:
    """What in a module is not of its layer."""
    package = package_of(path, text)
    yield from data_problems(path, text)
    layer = path.partition("/")[0]
    if layer in LAYERS:
        own = f"mesh.{layer}_test" if path.endswith(TEST_SUFFIX) else f"mesh.{layer}"
        if package not in {own, f"mesh.{layer}"} and not package.startswith(f"mesh.{layer}."):
            start, _ = package_span(path, text)
            message = f"its package is `mesh.{layer}`; found `{package}`"
            yield problem_at(path, text, start, message)
        if not path.endswith(TEST_SUFFIX):
            yield from _requirement_problems(path, text)
        for match in _SET.finditer(code(text)):
            message = f"a layer states {match.group(1)} as `{match.group(1)} contains ... if ...`"
            yield problem_at(path, text, match.start(), message)
    elif layer != "library" and path != DECLARED_PATH:
        yield Problem(
            path,
            1,
            f"it belongs to no layer: modules live in library/, {LAYERS[0]}/ or {LAYERS[1]}/",
        )


def _check_modules(modules: Mapping[str, str]) -> None:
    for path, text in modules.items():
        for problem in layer_problems(path, text):
            raise PolicyInvalid(str(problem))


def _requirement_problems(path: str, text: str) -> Iterator[Problem]:
    layer = path.partition("/")[0]
    for match in _REQUIRE.finditer(code(text)):
        if match.group(1) is None:
            message = f'write each requirement as `require["{layer}.some_id"] if ...`'
            yield problem_at(path, text, match.start(), message)
    for position, id_ in requirements(text):
        if _ID.fullmatch(id_) is None or not id_.startswith(f"{layer}."):
            message = f"a requirement of this layer is named `{layer}.<lower_case>`; found {id_!r}"
            yield problem_at(path, text, position, message)


def _declared(modules: Mapping[str, str]) -> str | None:
    layered = {
        path: text
        for path, text in modules.items()
        if path.partition("/")[0] in LAYERS and not path.endswith(TEST_SUFFIX)
    }
    if not layered:
        return None
    ids = sorted({id_ for path, text in layered.items() for id_ in required(path, text)})
    listed = ", ".join(f'"{id_}"' for id_ in ids)
    return f"package mesh.declared\n\nrequirements := [{listed}]\n"
