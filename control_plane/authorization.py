"""Who may call what: a Rego policy over duties, asked once for each distinct input."""

import hashlib
import threading
from collections import OrderedDict
from typing import Protocol

from mesh.decisions.engines import Engine
from mesh.errors import DutyMissing, PolicyError
from mesh.evidence.canonical import canonical
from mesh.identity.principal import Caller

ENTRYPOINT = "mesh/control/authorization"
_CACHE_SIZE = 8_192


class Verifier(Protocol):
    """Tells whose token it is."""

    def verify(self, token: str) -> Caller:
        """The caller that a token proves. Raises what it lacks."""


class Authorization:
    """Admits a call when the policy allows its method to its caller. Thread-safe."""

    def __init__(self, engine: Engine, verifier: Verifier) -> None:
        self._engine = engine
        self._verifier = verifier
        self._decided: OrderedDict[bytes, bool] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, method: str, token: str, domain: str | None) -> Caller | None:
        """The caller, None on a call open to anybody.

        Raises what the token's verification raises, or DutyMissing, or PolicyError.
        """
        if self._allowed(method, None, None):
            return None
        caller = self._verifier.verify(token)
        if not self._allowed(method, caller, domain):
            principal = caller.principal
            duties = ", ".join(principal.duties) or "none"
            raise DutyMissing(
                f"{principal.reference} may not call {method.rpartition('/')[2]};"
                f" duties of the token: {duties}",
                action=method,
            )
        return caller

    def _allowed(self, method: str, caller: Caller | None, domain: str | None) -> bool:
        document = canonical({"method": method, "caller": _described(caller), "domain": domain})
        key = hashlib.sha256(document).digest()
        with self._lock:
            known = self._decided.get(key)
        if known is not None:
            return known
        match self._engine.evaluate(document):
            case {"allow": bool(allow), **rest} if not rest:
                decided = allow
            case _:
                raise PolicyError("the control policy returned something that is no decision")
        with self._lock:
            self._decided[key] = decided
            while len(self._decided) > _CACHE_SIZE:
                self._decided.popitem(last=False)
        return decided


def _described(caller: Caller | None) -> dict[str, object] | None:
    if caller is None:
        return None
    principal = caller.principal
    return {
        "kind": principal.kind.value,
        "id": principal.subject,
        "teams": list(principal.teams),
        "duties": list(principal.duties),
    }
