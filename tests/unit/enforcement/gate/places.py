"""Places in a syntax tree: finding them, reading and changing what stands there."""

from collections.abc import Iterator

LOCATION = {"query_location", "query_location_length"}
# Fields that may be absent: an expression in its place, or nothing.
OPTIONAL = {
    "child",
    "condition",
    "default_expr",
    "end_expr",
    "expr",
    "filter",
    "filter_expr",
    "having",
    "limit",
    "offset",
    "offset_expr",
    "qualify",
    "start_expr",
    "where_clause",
}
Path = tuple[str | int, ...]


def paths(node: object, path: Path = ()) -> Iterator[Path]:
    """Every place of a tree, locations aside."""
    yield path
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in LOCATION:
                yield from paths(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from paths(value, (*path, index))


def at(node: object, path: Path) -> object:
    """What stands at a place."""
    for step in path:
        node = node[step]  # type: ignore[index]
    return node


def put(node: object, path: Path, value: object) -> None:
    """Set what stands at a place."""
    at(node, path[:-1])[path[-1]] = value  # type: ignore[index]
