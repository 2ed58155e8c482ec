"""The shipped library, and a read that it allows."""

from pathlib import Path

from mesh.decisions.policy import Policy

POLICIES = Path(__file__).parents[3] / "policies"
Document = dict[str, object]


def library(*, tests: bool = False) -> dict[str, str]:
    """The library's modules by path, with their tests or without."""
    return {
        path.relative_to(POLICIES).as_posix(): path.read_text()
        for path in sorted(POLICIES.glob("library/*.rego"))
        if tests or not path.name.endswith("_test.rego")
    }


def library_policy() -> Policy:
    """What agents hold before any layer exists."""
    return Policy(library())


def reading(**changed: object) -> Document:
    """An input that is allowed, with six classes, and with top-level keys replaced."""
    classes = [
        ("confidential", "contact", "partial"),
        ("confidential", "contact", None),
        ("internal", None, None),
        ("public", None, "clear"),
        ("restricted", "identity", "pseudonym"),
        ("restricted", "identity", None),
    ]
    document: Document = {
        "action": "read",
        "now": "2026-11-24T22:00:00Z",
        "purpose": "crew-planning",
        "subject": {"kind": "user", "id": "ana", "teams": ["ops"]},
        "agent": {"domain": "bookings", "id": "bookings-1"},
        "product": {
            "domain": "bookings",
            "name": "reservations",
            "version": "1.0.0",
            "status": "active",
            "purposes": ["crew-planning"],
            "residency": "eu",
            "legal_basis": "contract",
        },
        "dataset": {
            "name": "passengers",
            "classes": [
                {
                    "id": f"c{number}",
                    "classification": classification,
                    "category": category,
                    "tags": ["pii"] if category else [],
                    "mask": mask,
                }
                for number, (classification, category, mask) in enumerate(classes)
            ],
        },
        "agreement": agreement(),
    }
    return document | changed


def agreement(**changed: object) -> Document:
    """The agreement that `reading` rests on, with keys replaced."""
    document: Document = {
        "id": "0190d3c8-0000-7000-8000-000000000001",
        "consumer": "user:ana",
        "domain": "bookings",
        "product": "reservations",
        "purpose": "crew-planning",
        "role": "analyst",
        "datasets": ["passengers"],
        "state": "active",
        "start": "2026-11-01T00:00:00Z",
        "until": "2027-01-01T00:00:00Z",
        "row_filter": {"column": "origin", "op": "eq", "value": "JFK"},
    }
    return document | changed
