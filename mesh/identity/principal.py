"""Who acts: a user, a service or an agent, with teams and duties."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class PrincipalKind(StrEnum):
    USER = "user"
    SERVICE = "service"
    AGENT = "agent"


CONTROL_AUDIENCE = "mesh:control"


def domain_audience(domain: str) -> str:
    """The audience of tokens that agents of a domain accept."""
    return f"mesh:domain:{domain}"


@dataclass(frozen=True, slots=True)
class Principal:
    """A verified identity. An agent's subject is `<domain>/<id>`."""

    kind: PrincipalKind
    subject: str
    teams: tuple[str, ...] = ()
    duties: tuple[str, ...] = ()

    @property
    def reference(self) -> str:
        """`user:ana`, as records name who acted."""
        return f"{self.kind}:{self.subject}"

    @property
    def consumers(self) -> tuple[str, ...]:
        """The consumers an agreement may name for this principal, own before teams."""
        return (self.reference, *(f"team:{team}" for team in sorted(self.teams)))


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal together with the token that proved it."""

    principal: Principal
    audience: str
    token_id: str
    expires: datetime
