"""The one place that decides: evaluates, or remembers; whatever goes wrong denies."""

import json
import logging
import re
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from mesh.decisions.documents import denial, parse_decision
from mesh.decisions.engines import Engine
from mesh.decisions.inputs import DecisionInput, has_plain_texts
from mesh.decisions.layers import check_layers
from mesh.decisions.modules import any_reads_now, turns_by_itself
from mesh.decisions.policy import Policy
from mesh.decisions.values import Decision
from mesh.errors import MeshError, PolicyError
from mesh.evidence.canonical import canonical
from mesh.times import rfc3339

_log = logging.getLogger(__name__)
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision with the very input it was evaluated on, and the policy that did."""

    decision: Decision
    document: Mapping[str, object]
    policy_digest: str
    cached: bool


@dataclass(frozen=True, slots=True)
class _Remembered:
    decided: Decided
    since: str
    until: str | None


@dataclass(frozen=True, slots=True)
class _Revision:
    """A policy in force and what it decided; both go at once."""

    digest: str
    cacheable: bool
    needs_until: bool
    remembered: OrderedDict[str, _Remembered] = field(default_factory=OrderedDict)


class Decider:
    """Decides with one engine and remembers decisions until they may change. Thread-safe."""

    def __init__(self, engine: Engine, capacity: int = 10_000) -> None:
        self._engine, self._capacity = engine, capacity
        self._revision: _Revision | None = None
        self._lock = threading.Lock()
        self._turns = _Turns()

    @property
    def policy_digest(self) -> str | None:
        """The digest of the policy in force."""
        revision = self._revision
        return revision.digest if revision else None

    def load(self, policy: Policy) -> None:
        """Put a policy in force and forget what the old one decided.

        Raises PolicyInvalid, and the old one stays.
        """
        check_layers(policy)
        revision = _Revision(
            digest=policy.digest,
            cacheable=not turns_by_itself(policy),
            needs_until=any_reads_now(policy),
        )
        with self._turns.alone():
            self._engine.load(policy)
            self._revision = revision

    def decide(self, asked: DecisionInput) -> Decided:
        """The decision for an input; it denies whenever there is no good one."""
        document = asked.document
        try:
            now = str(document["now"])
            key = json.dumps({**document, "now": None}, sort_keys=True)
        except Exception:  # noqa: BLE001 - whatever fails here must deny, and is logged whole
            _log.exception("an input can't be decided on")
            return Decided(denial(PolicyError.reason), document, self.policy_digest or "", False)
        revision = self._revision
        if revision is not None and _INSTANT.fullmatch(now):
            with self._lock:
                remembered = revision.remembered.get(key)
                if remembered is not None:
                    revision.remembered.move_to_end(key)
            if (
                remembered is not None
                and remembered.since <= now
                and (remembered.until is None or now < remembered.until)
            ):
                return remembered.decided
        return self._evaluate(document, key, now)

    def _evaluate(self, document: Mapping[str, object], key: str, now: str) -> Decided:
        with self._turns.shared():
            revision = self._revision
            if revision is None:
                _log.warning("denied: no policy is in force")
                return Decided(denial(PolicyError.reason), document, "", False)
            try:
                body = canonical(document)
                _check_texts(document, body)
                decision = parse_decision(self._engine.evaluate(body))
                check_masks(decision, document)
            except MeshError as error:
                _log.warning("denied: %s", error.message)
                return Decided(denial(PolicyError.reason), document, revision.digest, False)
            except Exception:  # noqa: BLE001 - whatever fails here must deny, and is logged whole
                _log.exception("denied: deciding failed")
                return Decided(denial(PolicyError.reason), document, revision.digest, False)
        self._remember(revision, key, now, decision, document)
        return Decided(decision, document, revision.digest, False)

    def _remember(
        self,
        revision: _Revision,
        key: str,
        now: str,
        decision: Decision,
        document: Mapping[str, object],
    ) -> None:
        until = rfc3339(decision.valid_until) if decision.valid_until else None
        if not revision.cacheable or (until is None and revision.needs_until):
            return
        decided = Decided(decision, document, revision.digest, True)
        with self._lock:
            revision.remembered[key] = _Remembered(decided, now, until)
            revision.remembered.move_to_end(key)
            while len(revision.remembered) > self._capacity:
                revision.remembered.popitem(last=False)


def _check_texts(document: Mapping[str, object], body: bytes) -> None:
    if b"\\" in body and not has_plain_texts(document):
        raise PolicyError(
            "the input has a text with a quote, a backslash or a control character, on which "
            "engines differ, so nothing is allowed"
        )


def check_masks(decision: Decision, document: Mapping[str, object]) -> None:
    """An allowed read has a mask for every class, and no other."""
    match document:
        case {"dataset": {"classes": [*classes]}}:
            ids = {class_["id"] for class_ in classes}
        case _:
            raise PolicyError("the input has no column classes, so nothing can be allowed")
    if decision.allow and (not ids or set(decision.masks) != ids):
        raise PolicyError("the policy allows without exactly one mask for every column class")


class _Turns:
    """Evaluations share a turn; a load has its own, so that none straddles two policies."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._evaluating = 0
        self._loading = 0

    @contextmanager
    def shared(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._loading == 0)
            self._evaluating += 1
        try:
            yield
        finally:
            with self._changed:
                self._evaluating -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        with self._changed:
            self._changed.wait_for(lambda: self._loading == 0)
            self._loading += 1
            self._changed.wait_for(lambda: self._evaluating == 0)
        try:
            yield
        finally:
            with self._changed:
                self._loading -= 1
                self._changed.notify_all()
