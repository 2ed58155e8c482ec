"""Runs the `test_` rules of a layer with the library, on the embedded engine."""

import math
from collections.abc import Mapping
from dataclasses import replace

from mesh.decisions.layers import with_declarations
from mesh.decisions.modules import TEST_SUFFIX
from mesh.decisions.policy import Policy
from mesh.decisions.testing import TestOutcome, run_tests


def layered(layer: str, texts: Mapping[str, str], library: Policy) -> Policy:
    """The library with a layer's modules, given by path below its folder, without their tests.

    Raises PolicyInvalid when they are no layer.
    """
    own = {f"{layer}/{p}": text for p, text in texts.items() if not p.endswith(TEST_SUFFIX)}
    return with_declarations({**library.modules, **own})


def layer_outcomes(
    layer: str, texts: Mapping[str, str], library: Policy, seconds: float = math.inf
) -> list[TestOutcome]:
    """Every test's outcome. Raises PolicyInvalid when a module does not load."""
    policy = layered(layer, texts, library)
    tests = {f"{layer}/{p}": text for p, text in texts.items() if p.endswith(TEST_SUFFIX)}
    outcomes = run_tests(Policy({**policy.modules, **tests}), seconds=seconds)
    return [replace(one, path=one.path.removeprefix(f"{layer}/")) for one in outcomes]
