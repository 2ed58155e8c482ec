"""Which tokens may be issued: to whom, towards whom, how long."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from mesh.errors import DutyMissing, RequestInvalid, TokenLifetimeInvalid
from mesh.identity.duties import ADMIN, DUTY_RULE, SECURITY, has_any, is_duty
from mesh.identity.principal import (
    CONTROL_AUDIENCE,
    Caller,
    Principal,
    PrincipalKind,
    domain_audience,
)
from mesh.identity.tokens import DEFAULT_LIFETIME, MAX_LIFETIME
from mesh.names import NAME_RULE, is_name

_MAX_NAMES = 64
_MAX_NAME_CHARS = 128


@dataclass(frozen=True, slots=True)
class TokenPlan:
    """A token that may be issued."""

    principal: Principal
    audience: str
    expires: datetime
    for_other: bool


def plan_token(
    caller: Caller,
    wanted: Principal | None,
    domain: str,
    lifetime: timedelta | None,
    now: datetime,
) -> TokenPlan:
    """What to issue. A token that somebody makes of their own never outlives the one shown.

    Raises DutyMissing, RequestInvalid or TokenLifetimeInvalid.
    """
    if domain and not is_name(domain):
        raise RequestInvalid(f"domain {domain!r} is no name: {NAME_RULE}", field="domain")
    audience = domain_audience(domain) if domain else CONTROL_AUDIENCE
    length = DEFAULT_LIFETIME if lifetime is None else lifetime
    if not timedelta(seconds=1) <= length <= MAX_LIFETIME:
        raise TokenLifetimeInvalid(
            "a token lives between one second and 24 hours",
            limit=str(int(MAX_LIFETIME.total_seconds())),
        )
    principal = caller.principal
    if wanted is None or wanted == principal:
        expires = min(now + length, caller.expires)
        return TokenPlan(_towards(principal, domain), audience, expires, False)
    _check_other(caller, wanted)
    return TokenPlan(_towards(wanted, domain), audience, now + length, True)


def _towards(principal: Principal, domain: str) -> Principal:
    """Duties are for the control plane; an agent decides by agreements and needs none."""
    if not domain:
        return principal
    return Principal(principal.kind, principal.subject, principal.teams)


def _check_other(caller: Caller, wanted: Principal) -> None:
    if not has_any(caller.principal, ADMIN, SECURITY):
        raise DutyMissing(
            "only admin and security issue tokens for others; ask one of them", action="token.issue"
        )
    if wanted.kind is PrincipalKind.AGENT:
        raise RequestInvalid(
            "agents make their own tokens; enrol one with `mesh agent join-token`",
            field="principal.kind",
        )
    if not _fits(wanted.subject):
        raise RequestInvalid(
            f"a subject is 1 to {_MAX_NAME_CHARS} printable characters without spaces",
            field="principal.subject",
        )
    if len(wanted.teams) > _MAX_NAMES or not all(_fits(team) for team in wanted.teams):
        raise RequestInvalid(
            f"teams are at most {_MAX_NAMES} names of printable characters without spaces",
            field="principal.teams",
        )
    for duty in wanted.duties:
        if not is_duty(duty):
            raise RequestInvalid(
                f"duty {duty!r} is unknown; a duty is {DUTY_RULE}", field="principal.duties"
            )
    if ADMIN in wanted.duties and not has_any(caller.principal, ADMIN):
        raise DutyMissing("only admin issues a token with the duty admin", action="token.issue")


def _fits(name: str) -> bool:
    return 1 <= len(name) <= _MAX_NAME_CHARS and name.isprintable() and " " not in name
