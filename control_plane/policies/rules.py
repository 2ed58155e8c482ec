"""What a policy is, once it was active."""

import hashlib
from dataclasses import dataclass
from datetime import datetime

from mesh.decisions.policy import Policy


@dataclass(frozen=True, slots=True)
class ActivePolicy:
    """A policy with when it last became active."""

    policy: Policy
    revision: int
    activated: datetime


@dataclass(frozen=True, slots=True)
class ModuleSummary:
    """A module without its text."""

    path: str
    size: int
    digest: str


def summary(path: str, text: str) -> ModuleSummary:
    """The module's size and digest, of its UTF-8 bytes."""
    content = text.encode()
    return ModuleSummary(path, len(content), hashlib.sha256(content).hexdigest())
