"""What the mesh adds to ODCS: `mesh.*` customProperties, where they belong and what they hold."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mesh.contracts.problems import Findings, Path, closest, listing, shown
from mesh.contracts.shapes import Element, elements, entries, text
from mesh.masks import Mask
from mesh.names import HYPHENATED_RULE, is_hyphenated

PREFIX = "mesh."
LEGAL_BASES = (
    "consent",
    "contract",
    "legal-obligation",
    "vital-interests",
    "public-task",
    "legitimate-interests",
)
Check = Callable[[object], str | None]


@dataclass(frozen=True, slots=True)
class Extension:
    """One property of ours: the kind of element it belongs to, and what is wrong with a value."""

    place: str
    check: Check


def one_of(allowed: tuple[str, ...]) -> Check:
    """A check that the value is one of these words."""

    def check(value: object) -> str | None:
        if isinstance(value, str) and value in allowed:
            return None
        near = closest(value, allowed) if isinstance(value, str) else ""
        return f"is {shown(value)}; allowed: {', '.join(allowed)}{near}"

    return check


def _word(value: object) -> str | None:
    if isinstance(value, str) and is_hyphenated(value):
        return None
    return f"is {shown(value)}; allowed is {HYPHENATED_RULE}"


def _flag(value: object) -> str | None:
    return None if isinstance(value, bool) else f"is {shown(value)}; allowed is true or false"


def _purposes(value: object) -> str | None:
    if not isinstance(value, list) or not value:
        return "lists at least one purpose; leave it out to allow every registered one"
    for purpose in value:
        if wrong := _word(purpose):
            return f"an entry {wrong}"
    return "names a purpose twice" if len(set(value)) < len(value) else None


def _filter(value: object) -> str | None:
    return None if isinstance(value, Mapping) else f"is {shown(value)}; allowed is a mapping"


EXTENSIONS = {
    "mesh.legalBasis": Extension("the contract", one_of(LEGAL_BASES)),
    "mesh.residency": Extension("the contract", _word),
    "mesh.purposes": Extension("the contract", _purposes),
    "mesh.category": Extension("a column", _word),
    "mesh.subjectKey": Extension("a column", _flag),
    "mesh.mask": Extension("a column", one_of(tuple(Mask))),
    "mesh.rowFilter": Extension("a role", _filter),
}


def extension(element: Element, name: str) -> object:
    """The value of one of our properties, or None."""
    return next(
        (
            e.get("value")
            for _, e in entries(element, "customProperties")
            if e.get("property") == name
        ),
        None,
    )


def extension_path(element: Element, path: Path, name: str) -> Path:
    """Where the value of one of our properties is."""
    for index, entry in entries(element, "customProperties"):
        if entry.get("property") == name:
            return (*path, "customProperties", index, "value")
    return path


def check_extensions(contract: Element, findings: Findings) -> None:
    """Note properties of ours that are unknown, misplaced, repeated or hold something else."""
    for path, element in elements(contract):
        seen: set[str] = set()
        for index, entry in entries(element, "customProperties"):
            name = text(entry, "property")
            if name is None:
                continue
            here = (*path, "customProperties", index)
            _check_one(name, entry, here, findings)
            if name in seen and name in EXTENSIONS:
                findings.add((*here, "property"), f"a second `{name}`; remove one")
            seen.add(name)


def _check_one(name: str, entry: Element, here: Path, findings: Findings) -> None:
    known = EXTENSIONS.get(name)
    if known is None:
        if _looks_like_ours(name):
            near = closest(name, EXTENSIONS) or f"; allowed: {listing(EXTENSIONS)}"
            findings.add((*here, "property"), f"unknown property {shown(name)}{near}")
        return
    place = _place_of(here)
    if place != known.place:
        findings.add((*here, "property"), f"`{name}` belongs to {known.place}, not to {place}")
    elif "value" in entry and (wrong := known.check(entry["value"])):
        findings.add((*here, "value"), f"`{name}` {wrong}")


def _looks_like_ours(name: str) -> bool:
    """A misspelt property must not pass as somebody else's, and its mask unapplied."""
    bare = re.sub(r"[^a-z]", "", name.casefold())
    ours = {re.sub(r"[^a-z]", "", known.casefold()) for known in EXTENSIONS}
    return name.casefold().startswith(PREFIX) or bare in ours


def _place_of(path: Path) -> str:
    match path:
        case ("customProperties", int()):
            return "the contract"
        case ("schema", int(), "properties", int(), "customProperties", int()):
            return "a column"
        case ("roles", int(), "customProperties", int()):
            return "a role"
        case _:
            return "this element"
