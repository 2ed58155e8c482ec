"""What fails between the parts: identity, enrolment, distribution, reachability."""

from mesh.errors.kinds import (
    Bug,
    Conflict,
    Denied,
    Exhausted,
    Invalid,
    NotFound,
    Stale,
    Unauthenticated,
    Unavailable,
)


class AgentNotFound(NotFound):
    """No such agent, or the caller may not see it."""

    reason = "agent.not_found"


class AgentIdTaken(Conflict):
    """Another key is enrolled under this id."""

    reason = "agent.id_taken"


class AgentLeaseExpired(Unavailable):
    """The agent has not heard from the control plane for longer than its lease for this class."""

    reason = "agent.lease_expired"


class AgentNotReady(Unavailable):
    """The agent has no snapshot to decide with yet."""

    reason = "agent.not_ready"


class AgentBehind(Unavailable):
    """The agent does not know of the revision that the read asks for yet; try again."""

    reason = "agent.behind"


class AgentOverloaded(Exhausted):
    """The agent serves as many streams as it admits; try again."""

    reason = "agent.overloaded"


class AgentRevisionStale(Stale):
    """A revision below the highest acknowledged one was offered or asked for."""

    reason = "agent.revision_stale"


class AgentDigestMismatch(Stale):
    """The entries after a change do not have the digest that was signed."""

    reason = "agent.digest_mismatch"


class AgentSignatureInvalid(Denied):
    """An envelope is not signed by a trusted key, or not meant for this domain."""

    reason = "agent.signature_invalid"


class AgentSuperseded(Stale):
    """The same agent connected again; this session ended."""

    reason = "agent.superseded"


class AgentDomainForeign(Denied):
    """An agent may publish and report for its own domain only."""

    reason = "agent.domain_foreign"


class TokenMissing(Unauthenticated):
    """The call carries no bearer token."""

    reason = "token.missing"


class TokenInvalid(Unauthenticated):
    """The token is malformed, forged, or signed by an unknown key."""

    reason = "token.invalid"


class TokenExpired(Unauthenticated):
    """The token is past its end; issue a new one."""

    reason = "token.expired"


class TokenAudience(Unauthenticated):
    """The token is for another audience."""

    reason = "token.audience"


class TokenLifetimeInvalid(Invalid):
    """The lifetime asked for is not allowed."""

    reason = "token.lifetime_invalid"


class TokenJoinInvalid(Unauthenticated):
    """The join token is unknown, used or expired, or the proof does not fit the key."""

    reason = "token.join_invalid"


class ControlUnavailable(Unavailable):
    """The control plane can't be reached."""

    reason = "control.unavailable"


class ControlOverloaded(Exhausted):
    """The control plane serves as many tails or log readers as it admits, of one or of all."""

    reason = "control.overloaded"


class InternalError(Bug):
    """A defect of the service; the call id finds it in the server's log."""

    reason = "internal.error"
