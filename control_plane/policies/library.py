"""The Rego that ships with the program: the library that decides reads, and the control rules."""

from importlib.resources import files
from importlib.resources.abc import Traversable

from mesh.decisions.policy import Policy

POLICIES = "policies"


def shipped(folder: str, root: Traversable | None = None) -> Policy:
    """The modules of one folder of policies/ without their tests, by path below it."""
    source = (root if root is not None else files(POLICIES)) / folder
    modules = {
        f"{folder}/{item.name}": item.read_text(encoding="utf-8")
        for item in source.iterdir()
        if item.name.endswith(".rego") and not item.name.endswith("_test.rego")
    }
    if not modules:
        raise FileNotFoundError(f"the installation has no Rego modules in {POLICIES}/{folder}")
    return Policy(modules)
