"""The sentences that rules say of themselves in their METADATA."""

import re
from collections.abc import Iterable, Mapping

import yaml

_METADATA = re.compile(r"^# METADATA\n((?:#.*\n)+)", re.MULTILINE)


def sentences(texts: Iterable[str]) -> Mapping[str, str]:
    """What the rules say of themselves: METADATA's description by its title."""
    found: dict[str, str] = {}
    for text in texts:
        for block in _METADATA.finditer(text):
            stated = _yaml("\n".join(line[1:] for line in block[1].splitlines()))
            match stated:
                case {"title": str(title), "description": str(description)}:
                    found[title] = " ".join(description.split())
    return found


def _yaml(text: str) -> object:
    try:
        return yaml.safe_load(text)
    # A date that is none is a ValueError, and thousands of brackets are too deep.
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
