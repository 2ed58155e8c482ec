"""The values of the vault: wrapped keys, and erasures, which don't say whose they are."""

from dataclasses import dataclass
from datetime import datetime

# What stands where an erased principal's name stood; alike for all.
ERASED = "erased"


@dataclass(frozen=True, slots=True)
class WrappedKey:
    """One agent's key of one principal and quarter, wrapped to the control plane's own key."""

    domain: str
    agent: str
    id: str
    principal: str
    quarter: str
    wrapped: bytes


@dataclass(frozen=True, slots=True)
class Erasure:
    """The destruction of one principal's keys; `waiting` are agents by domain and id."""

    id: str
    reason: str
    requested: datetime
    completed: datetime | None
    keys: int
    waiting: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class PendingErasure:
    """What an agent has yet to do: whose keys to destroy, once it enforces that revision."""

    id: str
    principal: str
    revision: int
