"""What is wrong with a contract: where, which field, and what is allowed."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mesh.contracts.values import Contract

MAX_PROBLEMS = 200
MAX_MESSAGE = 400
MAX_LISTED = 12
Path = tuple[str | int, ...]
# What names an entry of a list, so that a field reads `schema[flights].properties[carrier]`.
NAMING_KEYS = ("name", "role", "property", "username", "server")


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing to repair, at its line and column (both from 1) in the document."""

    line: int
    column: int
    field: str
    message: str

    def __str__(self) -> str:
        where = f"line {self.line}, column {self.column}"
        return (
            f"{where}: {self.field}: {self.message}" if self.field else f"{where}: {self.message}"
        )


@dataclass(frozen=True, slots=True)
class Linted:
    """A contract, or every problem that keeps the document from being one, by line."""

    contract: Contract | None
    problems: tuple[Problem, ...]


@dataclass(slots=True)
class Place:
    """Where a value starts (an entry of a mapping: where its key does), and its parts' places."""

    line: int
    column: int
    parts: "dict[str | int, Place]"


class Findings:
    """Collects problems by path, the first MAX_PROBLEMS of them."""

    def __init__(self) -> None:
        self._found: dict[tuple[Path, str], None] = {}

    def add(self, path: Path, message: str) -> None:
        """Note a problem once."""
        if not self.full:
            self._found[path, clip(message, MAX_MESSAGE)] = None

    @property
    def full(self) -> bool:
        """Whether further problems are not listed, so that looking for them has no use."""
        return len(self._found) >= MAX_PROBLEMS

    def __bool__(self) -> bool:
        return bool(self._found)

    def at_or_below(self, path: Path) -> bool:
        """Whether a problem is noted at path or deeper."""
        return self.full or any(found[: len(path)] == path for found, _ in self._found)

    def problems(self, value: object, root: Place) -> tuple[Problem, ...]:
        """The problems with their places, by line."""
        found = sorted(
            Problem(*position(root, path), field_name(value, path), message)
            for path, message in self._found
        )
        if self.full:
            rest = "the list ends here; repair these first, there may be more"
            found.append(Problem(found[-1].line, found[-1].column, "", rest))
        return tuple(found)


def position(root: Place, path: Path) -> tuple[int, int]:
    """Line and column of the path, or of the nearest thing above it that exists."""
    place = root
    for step in path:
        deeper = place.parts.get(step)
        if deeper is None:
            break
        place = deeper
    return place.line, place.column


def field_name(value: object, path: Path) -> str:
    """The path for people: `schema[flights].properties[carrier].classification`."""
    name = ""
    for step in path:
        value = _step(value, step)
        if isinstance(step, int):
            name += f"[{_entry_name(value) or step}]"
        else:
            name += f".{clip(step, 80)}" if name else clip(step, 80)
    return name


def closest(word: str, allowed: Iterable[str]) -> str:
    """`; did you mean …?` for the nearest allowed word, else nothing."""
    by_fold = {candidate.casefold(): candidate for candidate in allowed}
    near = difflib.get_close_matches(word[:80].casefold(), by_fold, n=1, cutoff=0.6)
    return f"; did you mean `{by_fold[near[0]]}`?" if near else ""


def listing(words: Iterable[str]) -> str:
    """The words in a row, cut when there are many."""
    shown = list(words)
    more = f" and {len(shown) - MAX_LISTED} others" if len(shown) > MAX_LISTED else ""
    return ", ".join(shown[:MAX_LISTED]) + more


def clip(text: str, length: int) -> str:
    """The text, cut with an ellipsis when it is longer."""
    return text if len(text) <= length else text[: length - 1] + "…"


def shown(value: object) -> str:
    """A value of the document as a message quotes it."""
    match value:
        case None:
            return "empty"
        case bool():
            return str(value).lower()
        case str():
            return f"`{clip(value, 80)}`"
        case int() | float():
            return f"the number {clip(str(value), 40)}"
        case Mapping():
            return "a mapping"
        case _:
            return "a list"


def _step(value: object, step: str | int) -> object:
    if isinstance(step, str):
        return value.get(step) if isinstance(value, Mapping) else None
    return value[step] if isinstance(value, list) and step < len(value) else None


def _entry_name(value: object) -> str | None:
    if isinstance(value, Mapping):
        for key in NAMING_KEYS:
            name = value.get(key)
            if isinstance(name, str) and name and name.isprintable() and len(name) <= 80:
                return name
    return None
