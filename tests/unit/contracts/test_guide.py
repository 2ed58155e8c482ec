"""The guide's example is a contract, and its tables say what the code does."""

import re
from pathlib import Path

from mesh.contracts.extensions import EXTENSIONS
from mesh.contracts.parse import lint
from mesh.masks import Mask

GUIDE = (Path(__file__).parents[3] / "docs" / "contracts.md").read_text("utf-8")


def test_the_complete_example_has_no_problem() -> None:
    (example,) = re.findall(r"```yaml\n(.*?)```", GUIDE, flags=re.DOTALL)
    linted = lint(example.encode(), frozenset({"customer-care", "crew-planning"}))

    assert linted.problems == ()
    used = set(re.findall(r"mesh\.[a-zA-Z]+", example))
    assert used == set(EXTENSIONS)


def test_every_property_of_the_mesh_is_explained_at_its_place() -> None:
    rows = re.findall(r"^\| `(mesh\.\w+)` \| ([a-z ]+) \|", GUIDE, flags=re.MULTILINE)

    assert dict(rows) == {name: extension.place for name, extension in EXTENSIONS.items()}


def test_every_mask_is_named_from_mildest_to_strictest() -> None:
    section = GUIDE[GUIDE.index("From mildest to strictest") : GUIDE.index("| classification | at")]
    named = [word for word in re.findall(r"`([a-z]+)`", section) if word in set(Mask)]

    assert named == list(Mask)
