"""The Rego that ships with the program, and the schema of the input."""

from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable

from mesh.decisions.modules import TEST_SUFFIX
from mesh.decisions.policy import Policy

_POLICIES = "policies"


def shipped(folder: str) -> Policy:
    """The modules of one folder of policies/ without their tests, by path below it."""
    return Policy(
        {
            f"{folder}/{name}": text
            for name, text in _modules(files(_POLICIES) / folder)
            if not name.endswith(TEST_SUFFIX)
        }
    )


def starter(layer: str) -> dict[str, str]:
    """What a company starts a layer with, tests included, by path below the layer's folder."""
    return dict(_modules(files(_POLICIES) / "starter" / layer))


def input_schema() -> str:
    """The closed JSON schema of the input."""
    return (files(_POLICIES) / "schemas" / "input.json").read_text(encoding="utf-8")


def _modules(folder: Traversable) -> Iterator[tuple[str, str]]:
    found = sorted(folder.iterdir(), key=lambda item: item.name)
    modules = [item for item in found if item.name.endswith(".rego")]
    if not modules:
        raise FileNotFoundError(f"the installation has no Rego modules in {folder}")
    for item in modules:
        yield item.name, item.read_text(encoding="utf-8")
