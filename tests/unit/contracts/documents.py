"""A contract that is right, and ways to make it wrong."""

import copy
from pathlib import Path

import yaml

GOLDEN = Path(__file__).parent / "golden"
RIGHT = (GOLDEN / "right.odcs.yaml").read_bytes()
Steps = tuple[str | int, ...]


def right() -> dict[str, object]:
    """The right contract as a value of its own."""
    value = yaml.load(RIGHT, Loader=yaml.BaseLoader)  # noqa: S506 - text only, so `1.0.0` and `no` stay
    assert isinstance(value, dict)
    return _typed(value)


def changed(*changes: tuple[Steps, object]) -> bytes:
    """The right contract with other values at some paths; `...` removes what is there."""
    document: object = right()
    for path, value in changes:
        parent = document
        for step in path[:-1]:
            parent = parent[step]  # type: ignore[index]
        assert isinstance(parent, dict | list)
        if value is ...:
            del parent[path[-1]]  # type: ignore[arg-type]
        elif isinstance(parent, list) and path[-1] == len(parent):
            parent.append(value)
        else:
            parent[path[-1]] = value  # type: ignore[index]
    return dump(document)


def dump(value: object) -> bytes:
    """A document that holds the value, without aliases."""
    text: str = yaml.dump(
        copy.deepcopy(value), Dumper=_NoAliases, sort_keys=False, allow_unicode=True
    )
    return text.encode()


class _NoAliases(yaml.CSafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        return True


def _typed(value: dict[str, object]) -> dict[str, object]:
    """True and false as the right contract means them."""

    def convert(part: object) -> object:
        if isinstance(part, dict):
            return {key: convert(inner) for key, inner in part.items()}
        if isinstance(part, list):
            return [convert(inner) for inner in part]
        return {"true": True, "false": False}.get(str(part), part)

    return {key: convert(inner) for key, inner in value.items()}
