"""Reads of a wide range, on which a layer is tried before it is pushed. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from mesh.decisions.inputs import MAX_CLASSES

Document = Mapping[str, object]
_Class = tuple[str, str | None, list[str], str | None]

_CLASSIFICATIONS = ("public", "internal", "confidential", "restricted")
_CATEGORIES = (None, "contact", "financial", "health", "identity", "location")
_MASKS = (None, "clear", "generalise", "partial", "pseudonym", "constant", "null", "drop")
_MIXED: list[_Class] = [
    ("public", None, [], None),
    ("internal", None, ["operations"], "clear"),
    ("confidential", "contact", ["pii"], "partial"),
    ("confidential", "health", ["gdpr", "pii"], None),
    ("restricted", "identity", ["pii"], "pseudonym"),
    ("restricted", "financial", [], None),
]
_LARGEST: list[_Class] = [
    (
        _CLASSIFICATIONS[number % 4],
        _CATEGORIES[number % 6],
        [f"tag-{tag}" for tag in range(8)],
        _MASKS[number % 8],
    )
    for number in range(MAX_CLASSES)
]


@dataclass(frozen=True, slots=True)
class Sample:
    """An input, in words and as the document."""

    words: str
    document: Document


def samples(domain: str = "bookings") -> tuple[Sample, ...]:
    """The reads, of a product of the domain."""
    mixed = _dataset(_MIXED)
    return (
        _sample(domain, "a user's read of mixed columns", dataset=mixed),
        *(
            _sample(domain, f"a user's read of {name} columns", dataset=_dataset(_one(name)))
            for name in _CLASSIFICATIONS
        ),
        _sample(
            domain,
            "a service's read at midnight of the year's end",
            now="2026-12-31T23:59:59Z",
            subject=_subject("service", "rota"),
            agreement=_agreement(domain, consumer="service:rota", until="2027-06-01T00:00:00Z"),
        ),
        _sample(
            domain,
            "an agent's read on a Sunday morning for its team",
            now="2026-11-29T06:00:00Z",
            subject=_subject("agent", "fleet-1", ["ops"]),
            agreement=_agreement(domain, consumer="team:ops"),
        ),
        _sample(domain, "a read without an agreement", agreement=None),
        _sample(
            domain, "a read under an expired agreement", agreement=_agreement(domain, "expired")
        ),
        _sample(
            domain, "a read under a revoked agreement", agreement=_agreement(domain, "revoked")
        ),
        _sample(
            domain,
            "a read of a product that states neither residency nor legal basis nor purposes",
            product=_product(domain, residency=None, legal_basis=None, purposes=[]),
        ),
        _sample(
            domain,
            "a read of a product in another region for another purpose",
            purpose="audit",
            product=_product(domain, residency="us", purposes=["audit"], status="deprecated"),
            agreement=_agreement(domain, purpose="audit"),
        ),
        _largest(domain),
    )


def _largest(domain: str) -> Sample:
    """All that has a limit is at it, and what has none is larger than it will be."""
    purposes = sorted({"planning", *(f"purpose-{number:03}" for number in range(100))})
    datasets = sorted({"records", *(f"dataset_{number:03}" for number in range(100))})
    teams = sorted({"ops", *(f"team-{number:03}" for number in range(100))})
    return _sample(
        domain,
        f"a read of {MAX_CLASSES} column classes by a user in a hundred teams",
        subject=_subject("user", "ana", teams),
        product=_product(domain, purposes=purposes),
        dataset=_dataset(_LARGEST),
        agreement=_agreement(
            domain,
            datasets=datasets,
            row_filter={"column": "origin", "op": "in", "value": [f"A{n:02}" for n in range(99)]},
        ),
    )


def _sample(domain: str, words: str, **changed: object) -> Sample:
    document = {
        "action": "read",
        "now": "2026-11-24T12:00:00Z",
        "purpose": "planning",
        "subject": _subject("user", "ana", ["ops"]),
        "agent": {"domain": domain, "id": f"{domain}-1"},
        "product": _product(domain),
        "dataset": _dataset(_MIXED),
        "agreement": _agreement(domain),
    }
    return Sample(words, document | changed)


def _subject(kind: str, id_: str, teams: list[str] | None = None) -> Document:
    return {"kind": kind, "id": id_, "teams": teams or []}


def _product(domain: str, **changed: object) -> Document:
    document: dict[str, object] = {
        "domain": domain,
        "name": "reservations",
        "version": "1.0.0",
        "status": "active",
        "purposes": ["planning"],
        "residency": "eu",
        "legal_basis": "contract",
    }
    return document | changed


def _agreement(domain: str, state: str = "active", **changed: object) -> Document:
    document: dict[str, object] = {
        "id": "0190d3c8-0000-7000-8000-000000000001",
        "consumer": "user:ana",
        "domain": domain,
        "product": "reservations",
        "purpose": "planning",
        "role": "analyst",
        "datasets": ["records"],
        "state": state,
        "start": "2026-11-01T00:00:00Z",
        "until": "2027-01-01T00:00:00Z",
        "row_filter": None,
    }
    return document | changed


def _one(classification: str) -> list[_Class]:
    return [
        (classification, category, tags, None) for category in _CATEGORIES for tags in ([], ["pii"])
    ]


def _dataset(classes: list[_Class]) -> Document:
    names = ("classification", "category", "tags", "mask")
    listed = [
        {"id": f"c{number}", **dict(zip(names, class_, strict=True))}
        for number, class_ in enumerate(classes)
    ]
    return {"name": "records", "classes": listed}
