"""What a statement's text tells about where to send it; agents decide what it means."""

import re

_SKIPPED = re.compile(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'", re.DOTALL)
_NAME = r'(?:"[^"]+"|[A-Za-z_][A-Za-z0-9_]*)'
_RELATION = re.compile(
    rf"\b(?:from|join)\s+\(*\s*({_NAME})\s*\.\s*{_NAME}\s*\.\s*{_NAME}", re.IGNORECASE
)


def domains_named(sql: str) -> tuple[str, ...]:
    """The domains of the three-part names that a statement reads from, in its order."""
    text = _SKIPPED.sub(" ", sql)
    found = (match[1].strip('"').lower() for match in _RELATION.finditer(text))
    return tuple(dict.fromkeys(found))
