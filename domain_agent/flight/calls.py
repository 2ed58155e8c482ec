"""Who calls, read from a call's metadata; and the handshake that older clients open with."""

import base64
import binascii
import re
from collections.abc import Iterable

import grpc

from domain_agent.flight.ports import ReadContext, Verifier
from domain_agent.interceptors import Metadata
from mesh import errors
from mesh.identity.principal import Caller

AUTHORIZATION = "authorization"
PURPOSE = "x-mesh-purpose"
AGREEMENT = "x-mesh-agreement"
REVISION = "x-mesh-revision"
MAX_NAME = 63
MAX_AGREEMENTS = 32
_WHOLE_NUMBER = re.compile(r"[0-9]{1,18}", re.ASCII)


def read_context(context: grpc.ServicerContext, verifier: Verifier) -> ReadContext:
    """The verified caller and what they say about the read."""
    return ReadContext(
        caller=caller_of(context.invocation_metadata(), verifier),
        purpose=_purpose(context),
        agreements=_agreements(context),
        client=context.peer(),
        revision=_revision(context),
    )


def caller_of(metadata: Metadata, verifier: Verifier) -> Caller:
    """Whom a call's bearer token proves. Raises an Unauthenticated."""
    scheme, token = _credentials(metadata)
    if scheme != "bearer":
        raise errors.TokenMissing(
            "The call's authorization is not a bearer token; send `authorization: Bearer <token>`."
        )
    return verifier.verify(token)


def handshake_token(context: grpc.ServicerContext) -> str:
    """The token of a handshake: bearer as it is, or the password of basic credentials."""
    scheme, credentials = _credentials(context.invocation_metadata())
    if scheme == "bearer":
        return credentials
    if scheme == "basic":
        return _password(credentials)
    raise errors.TokenMissing(
        "The handshake's authorization is neither Bearer nor Basic; "
        "send the token as bearer token, or as the password of any user name."
    )


def _credentials(metadata: Metadata) -> tuple[str, str]:
    values = set(_values(metadata, AUTHORIZATION))
    if len(values) > 1:
        raise errors.TokenInvalid("The call carries several authorizations; send one.")
    scheme, _, credentials = next(iter(values), "").partition(" ")
    credentials = credentials.strip()
    if not credentials:
        raise errors.TokenMissing(
            "The call carries no token; send `authorization: Bearer <token>` "
            "(`mesh token issue --domain …` makes one)."
        )
    return scheme.lower(), credentials


def _password(credentials: str) -> str:
    # Go clients leave out base64's padding.
    padded = credentials + "=" * (-len(credentials) % 4)
    try:
        decoded = base64.b64decode(padded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise errors.TokenInvalid("The basic credentials are not base64 of user:token.") from None
    return decoded.partition(":")[2]


def _purpose(context: grpc.ServicerContext) -> str | None:
    purposes = set(_values(context.invocation_metadata(), PURPOSE))
    if len(purposes) > 1:
        raise errors.RequestInvalid(f"The call names several purposes; send {PURPOSE} once.")
    purpose = next(iter(purposes), "")
    if len(purpose) > MAX_NAME:
        raise errors.RequestInvalid(f"{PURPOSE} is longer than a purpose's {MAX_NAME} characters.")
    return purpose or None


def _agreements(context: grpc.ServicerContext) -> frozenset[str]:
    agreements = frozenset(_split(_values(context.invocation_metadata(), AGREEMENT)))
    if len(agreements) > MAX_AGREEMENTS or any(len(one) > MAX_NAME for one in agreements):
        raise errors.RequestInvalid(
            f"{AGREEMENT} names at most {MAX_AGREEMENTS} agreements by their ids."
        )
    return agreements


def _revision(context: grpc.ServicerContext) -> int:
    revisions = set(_values(context.invocation_metadata(), REVISION))
    if not revisions:
        return 0
    if len(revisions) > 1 or not all(map(_WHOLE_NUMBER.fullmatch, revisions)):
        raise errors.RequestInvalid(
            f"{REVISION} is one whole number, the least revision that the read is decided by.",
            field=REVISION,
        )
    return int(revisions.pop())


def _values(metadata: Metadata, key: str) -> Iterable[str]:
    for name, value in metadata:
        if name == key and isinstance(value, str):
            yield value.strip()


def _split(values: Iterable[str]) -> Iterable[str]:
    for value in values:
        yield from (part.strip() for part in value.split(",") if part.strip())
