"""One table of errors: the classes, errors.proto and docs/errors.md say the same."""

import re
from pathlib import Path

from mesh import errors
from mesh.v1 import errors_pb2

ROOT = Path(__file__).parents[2]
PREFIX = "ERROR_REASON_"


def classes() -> dict[str, type[errors.MeshError]]:
    return {
        error.reason: error
        for kind in errors.KINDS
        for error in kind.__subclasses__()
        if error.__module__.startswith("mesh.errors")
    }


def test_every_class_has_its_reason_in_the_proto_and_the_other_way_round() -> None:
    from_proto = {
        name.removeprefix(PREFIX).lower().replace("_", ".", 1)
        for name in errors_pb2.ErrorReason.keys()  # noqa: SIM118 - an enum wrapper is no dict
        if name != f"{PREFIX}UNSPECIFIED"
    }
    assert set(classes()) == from_proto


def test_the_page_lists_every_reason_with_its_kind_and_exit_code() -> None:
    page = (ROOT / "docs" / "errors.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z_.]+)` \| ([a-z ]+ \| \d+) \|", page, re.MULTILINE))
    expected = {
        reason: f"{error.kind.name} | {error.kind.exit_code}" for reason, error in classes().items()
    }
    assert rows == expected


def test_every_error_class_is_exported_and_named_uniquely() -> None:
    assert {error.__name__ for error in classes().values()} <= set(errors.__all__)
