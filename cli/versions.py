"""Versions of contracts, major.minor.patch, and which ones a change needs."""

import re
from typing import Literal

Bump = Literal["major", "minor", "patch"]
_VERSION = re.compile(r"v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-+].*)?")


def least_version(old: str, bump: Bump) -> str:
    """The lowest version that tells readers of a change; the old one when it has no numbers."""
    parts = _parts(old)
    if parts is None:
        return f"another than {old}"
    major, minor, patch = parts
    match bump:
        case "major":
            return f"{major + 1}.0.0"
        case "minor":
            return f"{major}.{minor + 1}.0"
        case "patch":
            return f"{major}.{minor}.{patch + 1}"


def enough(old: str, new: str, bump: Bump) -> bool:
    """Whether the new version is at least the lowest that the change needs."""
    before, after = _parts(old), _parts(new)
    if before is None or after is None:
        return old != new
    needed = _parts(least_version(old, bump))
    return needed is not None and after >= needed


def _parts(version: str) -> tuple[int, int, int] | None:
    match = _VERSION.fullmatch(version)
    if match is None:
        return None
    return int(match[1]), int(match[2] or 0), int(match[3] or 0)
