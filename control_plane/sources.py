"""Time, ids and secrets: what a control plane takes from outside."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import uuid_utils


@dataclass(frozen=True, slots=True)
class Sources:
    """Time, ids and secrets, from outside."""

    clock: Callable[[], datetime]
    new_id: Callable[[], str]
    new_secret: Callable[[], str]


def system_sources() -> Sources:
    """The machine's clock and randomness."""
    return Sources(
        clock=lambda: datetime.now(UTC),
        new_id=lambda: str(uuid_utils.uuid7()),
        new_secret=lambda: f"mjt_{secrets.token_urlsafe(32)}",
    )
