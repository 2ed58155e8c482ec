"""The timeline: every change, read and decision told by an OPA, and who may see which."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from mesh.contracts.values import Classification
from mesh.errors import RequestInvalid
from mesh.identity.duties import ADMIN, AUDITOR, SECURITY, domains_of, has_any
from mesh.identity.principal import Principal

MAX_PAGE = 500
DEFAULT_PAGE = 100
KINDS = ("read", "change", "decision")
OUTCOMES = ("started", "completed", "aborted", "refused")
_CLASS_BITS = {one.value: 1 << place for place, one in enumerate(Classification)}
CLASSIFICATIONS = frozenset(_CLASS_BITS)


@dataclass(frozen=True, slots=True)
class Change:
    """Something that changed, told in the transaction that changed it.

    `distributed` tells that agents must learn of it: those of `domain`, or all when it is None.
    """

    action: str
    actor: str
    time: datetime
    reference: str
    summary: str
    domain: str | None = None
    product: str = ""
    distributed: bool = False


@dataclass(frozen=True, slots=True)
class Distributed:
    """A change that agents had to learn of: those of a domain, or all when it is None."""

    revision: int
    time: datetime
    domain: str | None
    product: str


@dataclass(frozen=True, slots=True)
class Read:
    """A read as of its latest event; `receipt` names it among its agent's.

    `classified` are its products, each with a classification of what was read of it.
    """

    receipt: str
    action: str
    time: datetime
    domain: str
    agent: str
    actor: str = ""
    products: tuple[str, ...] = ()
    purpose: str = ""
    summary: str = ""
    rows: int = 0
    reasons: tuple[str, ...] = ()
    classified: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class ToldDecision:
    """What an OPA that is no agent says it decided; `id` names it among that OPA's.

    It is in no log, and nothing proves it.
    """

    id: str
    opa: str
    domain: str
    time: datetime
    allow: bool
    actor: str
    product: str
    purpose: str
    reasons: tuple[str, ...]
    summary: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the timeline. `position` grows with each arrival and each later event."""

    id: int
    position: int
    time: datetime
    kind: str
    action: str
    actor: str
    product: str
    reference: str
    purpose: str
    summary: str
    revision: int
    rows: int
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Sight:
    """What of the timeline somebody may see: all, or some domains and what they did themselves."""

    everything: bool
    domains: frozenset[str]
    actor: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """A selection of the timeline; an empty field selects all."""

    kind: str = ""
    actor: str = ""
    product: str = ""
    since: datetime | None = None
    until: datetime | None = None
    purpose: str = ""
    outcome: str = ""
    classification: str = ""

    def __post_init__(self) -> None:
        if self.kind and self.kind not in KINDS:
            raise RequestInvalid(
                f"kind is {self.kind!r}; it is {', '.join(KINDS)}, or empty for all", field="kind"
            )
        check_words(self.outcome, self.classification)
        check_window(self.since, self.until)


def check_words(outcome: str, classification: str) -> None:
    """Refuse words that no read has. Raises RequestInvalid."""
    for field, word, known in (
        ("outcome", outcome, OUTCOMES),
        ("classification", classification, tuple(_CLASS_BITS)),
    ):
        if word and word not in known:
            raise RequestInvalid(
                f"{field} is {word!r}; it is {', '.join(known)}, or empty for all", field=field
            )


def check_window(since: datetime | None, until: datetime | None) -> None:
    """Refuse a window that ends before it begins. Raises RequestInvalid."""
    if since is not None and until is not None and until < since:
        raise RequestInvalid("until is before since, so nothing is between them", field="until")


def class_bits(classifications: Iterable[str]) -> int:
    """One bit for each classification; words that are none have no bit."""
    bits = 0
    for word in classifications:
        bits |= _CLASS_BITS.get(word, 0)
    return bits


def sight_of(principal: Principal) -> Sight:
    """Auditor, security and admin see everything, owners and stewards their domains."""
    return Sight(
        has_any(principal, ADMIN, SECURITY, AUDITOR), domains_of(principal), principal.reference
    )


def page_limit(page_size: int) -> int:
    """The page's size. Raises RequestInvalid for a negative one or more than 500."""
    if not 0 <= page_size <= MAX_PAGE:
        raise RequestInvalid(
            f"page_size is {page_size}; it is at most {MAX_PAGE}, and 0 means {DEFAULT_PAGE}",
            field="page_size",
        )
    return page_size or DEFAULT_PAGE


def page_number(token: str, field: str = "page_token") -> int | None:
    """The number in a page token or cursor, None when empty. Raises RequestInvalid."""
    if not token:
        return None
    if not (token.isascii() and token.isdecimal() and len(token) < 19):
        raise RequestInvalid(f"{field} is not one that an earlier answer carried", field=field)
    return int(token)
