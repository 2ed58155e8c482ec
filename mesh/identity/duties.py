"""Duties: what a person answers for. `owner:<domain>`, `steward:<domain>`, and three mesh-wide.

`opa:<domain>` is a program's: an OPA fetches the domain's bundle and reports, and may nothing else.
"""

from mesh.identity.principal import Principal
from mesh.names import is_name

ADMIN = "admin"
SECURITY = "security"
AUDITOR = "auditor"
MESH_WIDE = frozenset({ADMIN, SECURITY, AUDITOR})
OWNER = "owner"
STEWARD = "steward"
OPA = "opa"
DUTY_RULE = "admin, security, auditor, owner:<domain>, steward:<domain> or opa:<domain>"


def is_duty(text: str) -> bool:
    """Whether text names a duty."""
    kind, separator, domain = text.partition(":")
    if not separator:
        return text in MESH_WIDE
    return kind in (OWNER, STEWARD, OPA) and is_name(domain)


def has_any(principal: Principal, *duties: str) -> bool:
    """Whether the principal has one of the mesh-wide duties."""
    return not set(duties).isdisjoint(principal.duties)


def answers_for(principal: Principal, domain: str) -> bool:
    """Whether the principal is owner or steward of the domain."""
    return domain in domains_of(principal)


def domains_of(principal: Principal) -> frozenset[str]:
    """The domains whose owner or steward the principal is."""
    prefixes = (f"{OWNER}:", f"{STEWARD}:")
    return frozenset(
        duty.partition(":")[2] for duty in principal.duties if duty.startswith(prefixes)
    )
