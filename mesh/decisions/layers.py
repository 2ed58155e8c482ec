"""The layers of a policy: what an organisation's and a domain's modules may state.

A layer can only restrict. It lives in its own package, states requirements one by one, and its
masks, rows, limits and ends as sets. What it requires is declared beside it, so that a
requirement whose rule fails or is undefined still denies.
"""

import re
from collections.abc import Mapping

from mesh.decisions.modules import TEST_SUFFIX, at, check_data, code, package_of
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
    policy = Policy(kept)
    check_layers(policy)
    return policy


def check_layers(policy: Policy) -> None:
    """Raise PolicyInvalid unless every module stays in its layer and all is declared."""
    for path, text in policy.modules.items():
        _check_place(path, text)
    if policy.modules.get(DECLARED_PATH) != _declared(policy.modules):
        raise PolicyInvalid(
            f"{DECLARED_PATH} does not list what the layers require; it is made from their "
            "modules, never written"
        )


def required(path: str, text: str) -> list[str]:
    """The ids of the requirements that a layer's module states. Raises PolicyInvalid."""
    layer = path.partition("/")[0]
    ids = set()
    for match in _REQUIRE.finditer(code(text)):
        if match.group(1) is None:
            raise PolicyInvalid(
                f"{at(path, text, match.start())}: write each requirement as "
                f'`require["{layer}.some_id"] if ...`'
            )
        id_ = text[match.start(1) : match.end(1)]
        if _ID.fullmatch(id_) is None or not id_.startswith(f"{layer}."):
            raise PolicyInvalid(
                f"{at(path, text, match.start())}: a requirement of this layer is named "
                f"`{layer}.<lower_case>`; found {id_!r}"
            )
        ids.add(id_)
    return sorted(ids)


def _check_place(path: str, text: str) -> None:
    package = package_of(path, text)
    check_data(path, text)
    layer = path.partition("/")[0]
    if layer in LAYERS:
        if package != f"mesh.{layer}" and not package.startswith(f"mesh.{layer}."):
            raise PolicyInvalid(f"{path}: its package is `mesh.{layer}`; found `{package}`")
        for match in _SET.finditer(code(text)):
            raise PolicyInvalid(
                f"{at(path, text, match.start())}: a layer states {match.group(1)} as "
                f"`{match.group(1)} contains ... if ...`"
            )
    elif layer != "library" and path != DECLARED_PATH:
        raise PolicyInvalid(
            f"{path} belongs to no layer: modules live in library/, {LAYERS[0]}/ or {LAYERS[1]}/"
        )


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
