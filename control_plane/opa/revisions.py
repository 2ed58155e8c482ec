"""How bundles are told apart: by the mesh's revision and the policy that decides."""

import re
from dataclasses import dataclass

_REVISION = re.compile(r"(0|[1-9][0-9]{0,17})-([0-9a-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Revision:
    """Which state of the mesh a bundle is, and which policy decides."""

    number: int
    policy_digest: str

    def __str__(self) -> str:
        return f"{self.number}-{self.policy_digest}"


def parse_revision(text: object) -> Revision | None:
    """The revision that a bundle's manifest states; None for a text that none of ours has."""
    found = _REVISION.fullmatch(text) if isinstance(text, str) else None
    return None if found is None else Revision(int(found[1]), found[2])
