"""Principals on the wire."""

from mesh.errors import RequestInvalid
from mesh.identity.principal import Principal, PrincipalKind
from mesh.v1 import identity_pb2


def principal_to_proto(principal: Principal) -> identity_pb2.Principal:
    """The principal as the identity service tells it."""
    return identity_pb2.Principal(
        kind=principal.kind.value,
        subject=principal.subject,
        teams=principal.teams,
        duties=principal.duties,
    )


def principal_from_proto(message: identity_pb2.Principal) -> Principal:
    """The principal. Raises RequestInvalid for an unknown kind."""
    try:
        kind = PrincipalKind(message.kind)
    except ValueError as error:
        raise RequestInvalid(
            f"kind is {message.kind!r}; it is user, service or agent", field="principal.kind"
        ) from error
    return Principal(
        kind,
        message.subject,
        tuple(sorted(set(message.teams))),
        tuple(sorted(set(message.duties))),
    )
