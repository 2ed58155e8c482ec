"""Handles: what a client holds of something the agent keeps for it."""

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from mesh import errors

_ID_BYTES = 16
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class HandleLimits:
    """How long a handle is good for, and how many one principal may hold."""

    seconds: float
    per_principal: int


@dataclass(slots=True)
class _Kept(Generic[Value]):
    value: Value
    deadline: float


class Handles(Generic[Value]):
    """Values behind signed handles: one principal's, for a while, their oldest given up first.

    A handle that was forged, shortened, used up, expired, or made for somebody else is one and
    the same refusal, so that it tells nothing.
    """

    def __init__(
        self,
        limits: HandleLimits,
        elapsed: Callable[[], float],
        randomness: Callable[[int], bytes],
    ) -> None:
        self._limits = limits
        self._elapsed = elapsed
        self._randomness = randomness
        self._key = randomness(32)
        self._lock = threading.Lock()
        self._kept: dict[str, OrderedDict[bytes, _Kept[Value]]] = {}

    def put(self, principal: str, value: Value) -> bytes:
        """A new handle for the value."""
        key = self._randomness(_ID_BYTES)
        with self._lock:
            self._drop_expired()
            own = self._kept.setdefault(principal, OrderedDict())
            own[key] = _Kept(value, self._elapsed() + self._limits.seconds)
            while len(own) > self._limits.per_principal:
                own.popitem(last=False)
        return key + self._seal(principal, key)

    def get(self, principal: str, handle: bytes) -> Value:
        """The value, kept for longer again."""
        key = self._opened(principal, handle)
        with self._lock:
            kept = self._find(principal, key)
            kept.deadline = self._elapsed() + self._limits.seconds
            self._kept[principal].move_to_end(key)
            return kept.value

    def take(self, principal: str, handle: bytes) -> Value:
        """The value, once."""
        key = self._opened(principal, handle)
        with self._lock:
            kept = self._find(principal, key)
            self._forget(principal, key)
            return kept.value

    def replace(self, principal: str, handle: bytes, value: Value) -> None:
        """Another value under the same handle."""
        key = self._opened(principal, handle)
        with self._lock:
            self._find(principal, key).value = value

    def _find(self, principal: str, key: bytes) -> _Kept[Value]:
        kept = self._kept.get(principal, OrderedDict()).get(key)
        if kept is None or kept.deadline <= self._elapsed():
            raise _invalid()
        return kept

    def _forget(self, principal: str, key: bytes) -> None:
        del self._kept[principal][key]
        if not self._kept[principal]:
            del self._kept[principal]

    def _drop_expired(self) -> None:
        # A principal's values are in the order of their deadlines: use moves one to the end.
        now = self._elapsed()
        for principal, own in list(self._kept.items()):
            while own and next(iter(own.values())).deadline <= now:
                own.popitem(last=False)
            if not own:
                del self._kept[principal]

    def _opened(self, principal: str, handle: bytes) -> bytes:
        key, seal = handle[:_ID_BYTES], handle[_ID_BYTES:]
        if not hmac.compare_digest(seal, self._seal(principal, key)):
            raise _invalid()
        return key

    def _seal(self, principal: str, key: bytes) -> bytes:
        return hmac.digest(self._key, key + principal.encode(), hashlib.sha256)


def _invalid() -> errors.TicketInvalid:
    return errors.TicketInvalid(
        "The ticket or statement handle is unknown, used, expired, or somebody else's; "
        "run the statement again."
    )
