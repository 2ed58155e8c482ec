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
            if isinstance(stated, dict) and isinstance(stated.get("description"), str):
                found[str(stated.get("title"))] = " ".join(str(stated["description"]).split())
    return found


def _yaml(text: str) -> object:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        return None
