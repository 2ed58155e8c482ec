"""Who makes the current call, as the interceptor found out."""

from contextvars import ContextVar

from mesh.errors import TokenMissing
from mesh.identity.principal import Caller

CALLER: ContextVar[Caller | None] = ContextVar("caller", default=None)


def current_caller() -> Caller:
    """The verified caller. Raises TokenMissing on a call that is open to anybody."""
    caller = CALLER.get()
    if caller is None:
        raise TokenMissing("the call carries no token; send `authorization: Bearer <token>`")
    return caller
