"""Looks into a document that may have any shape; wrong shapes are the schema's to report."""

from collections.abc import Iterator, Mapping

from mesh.contracts.problems import Path

Element = Mapping[str, object]


def entries(parent: Element, key: str) -> Iterator[tuple[int, Element]]:
    """The mappings in the list below key, each with its index."""
    value = parent.get(key)
    if isinstance(value, list):
        for index, entry in enumerate(value):
            if isinstance(entry, Mapping):
                yield index, entry


def text(parent: Element, key: str) -> str | None:
    """The text below key, or None."""
    value = parent.get(key)
    return value if isinstance(value, str) else None


def members(contract: Element) -> tuple[Path, list[tuple[int, Element]]]:
    """Where the team's members are, in either form that ODCS has, and the members."""
    team = contract.get("team")
    if isinstance(team, Mapping):
        return ("team", "members"), list(entries(team, "members"))
    return ("team",), list(entries(contract, "team"))


def elements(value: object, path: Path = ()) -> Iterator[tuple[Path, Element]]:
    """Every mapping of the document with its path, outer before inner."""
    if isinstance(value, Mapping):
        yield path, value
        for key, part in value.items():
            yield from elements(part, (*path, key))
    elif isinstance(value, list):
        for index, part in enumerate(value):
            yield from elements(part, (*path, index))
