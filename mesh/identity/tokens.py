"""Tokens: signed statements of who acts, towards whom, until when."""

import hashlib
import re
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import OKPKey
from joserfc.util import to_bytes

from mesh.errors import TokenAudience, TokenExpired, TokenInvalid, TokenMissing
from mesh.identity.principal import CONTROL_AUDIENCE, Caller, Principal, PrincipalKind

ISSUER = "meshwarden"
ALGORITHM = "Ed25519"
LEEWAY = timedelta(seconds=60)
DEFAULT_LIFETIME = timedelta(hours=1)
MAX_LIFETIME = timedelta(hours=24)
AGENT_LIFETIME = timedelta(minutes=5)
MAX_TOKEN_CHARS = 16 * 1024
_CACHE_SIZE = 4_096
_KEY_ID = re.compile(r"[A-Za-z0-9_:/.-]{1,200}")
_HEADERS = frozenset({"alg", "kid", "typ"})
_INVALID = "the token is not valid; issue a new one with `mesh token issue`"


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A public key that may sign tokens of one issuer; `public_key` is 32 raw bytes."""

    id: str
    issuer: str
    public_key: bytes


class KeySource(Protocol):
    """Knows the keys whose tokens are believed."""

    def token_key(self, key_id: str) -> TokenKey | None:
        """The key of that id, or None when it is unknown."""


class TokenIssuer:
    """Signs tokens with one key; `key_id` is their `kid`."""

    def __init__(self, key_id: str, key: Ed25519PrivateKey, issuer: str = ISSUER) -> None:
        self._key = OKPKey.import_key(key)
        self._key_id = key_id
        self._issuer = issuer

    def issue(
        self, principal: Principal, audience: str, token_id: str, now: datetime, end: datetime
    ) -> str:
        """A token in JWS compact form, valid from now to end."""
        claims: dict[str, object] = {
            "iss": self._issuer,
            "sub": principal.subject,
            "aud": audience,
            "iat": int(now.timestamp()),
            "exp": int(end.timestamp()),
            "jti": token_id,
            "kind": principal.kind.value,
            "teams": list(principal.teams),
            "duties": list(principal.duties),
        }
        header = {"alg": ALGORITHM, "kid": self._key_id}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])


def agent_key_id(domain: str, agent: str) -> str:
    """The `kid` and `iss` of tokens that an agent makes for itself."""
    return f"agent:{domain}/{agent}"


def agent_token(
    domain: str, agent: str, key: Ed25519PrivateKey, token_id: str, now: datetime
) -> str:
    """A token that an agent makes with its own key, for the control plane, for five minutes."""
    key_id = agent_key_id(domain, agent)
    principal = Principal(PrincipalKind.AGENT, f"{domain}/{agent}")
    issuer = TokenIssuer(key_id, key, issuer=key_id)
    return issuer.issue(principal, CONTROL_AUDIENCE, token_id, now, now + AGENT_LIFETIME)


class TokenVerifier:
    """Tells whose token it is, or why it is nobody's. Thread-safe."""

    def __init__(self, audience: str, keys: KeySource, clock: Callable[[], datetime]) -> None:
        self._audience = audience
        self._keys = keys
        self._clock = clock
        self._verified: OrderedDict[bytes, Caller] = OrderedDict()
        self._lock = threading.Lock()

    def verify(self, token: str) -> Caller:
        """The caller that a token proves.

        Raises TokenMissing, TokenInvalid, TokenExpired or TokenAudience.
        """
        if not token:
            raise TokenMissing("the call carries no token; send `authorization: Bearer <token>`")
        now = self._clock()
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        with self._lock:
            caller = self._verified.get(digest)
        if caller is None:
            caller = self._decode(token, now)
            self._remember(digest, caller)
        if now > caller.expires + LEEWAY:
            raise TokenExpired(
                f"the token expired at {caller.expires:%Y-%m-%dT%H:%M:%SZ}; issue a new one"
            )
        return caller

    def _remember(self, digest: bytes, caller: Caller) -> None:
        with self._lock:
            self._verified[digest] = caller
            while len(self._verified) > _CACHE_SIZE:
                self._verified.popitem(last=False)

    def _decode(self, token: str, now: datetime) -> Caller:
        """Check signature and every claim in one place, so that no claim is used unchecked."""
        key = self._signing_key(token)
        try:
            public = OKPKey.import_key(Ed25519PublicKey.from_public_bytes(key.public_key))
            claims = jwt.decode(token, public, algorithms=[ALGORITHM]).claims
        except (JoseError, ValueError) as error:
            raise TokenInvalid(_INVALID) from error
        caller, issued = _caller(claims)
        if claims.get("iss") != key.issuer or not _issuer_fits(key, caller, issued):
            raise TokenInvalid(_INVALID)
        if issued > now + LEEWAY:
            raise TokenInvalid("the token is from the future; compare the clocks of both machines")
        if caller.audience != self._audience:
            raise TokenAudience(
                f"the token is for {caller.audience}, this service takes tokens for"
                f" {self._audience}; issue one for it with `mesh token issue`"
            )
        return caller

    def _signing_key(self, token: str) -> TokenKey:
        if len(token) > MAX_TOKEN_CHARS:
            raise TokenInvalid(f"the token is longer than {MAX_TOKEN_CHARS} characters")
        try:
            header = jws.extract_compact(to_bytes(token)).headers()
        except (JoseError, ValueError, TypeError, AttributeError) as error:
            raise TokenInvalid(_INVALID) from error
        key_id = header.get("kid")
        if (
            not set(header) <= _HEADERS
            or header.get("alg") != ALGORITHM
            or header.get("typ", "JWT") != "JWT"
            or not isinstance(key_id, str)
            or _KEY_ID.fullmatch(key_id) is None
        ):
            raise TokenInvalid(_INVALID)
        key = self._keys.token_key(key_id)
        if key is None:
            raise TokenInvalid(_INVALID)
        return key


def _issuer_fits(key: TokenKey, caller: Caller, issued: datetime) -> bool:
    """Agents speak for themselves only, and shortly; our own issuer speaks for all others."""
    principal = caller.principal
    lifetime = caller.expires - issued
    if key.issuer == ISSUER:
        return principal.kind is not PrincipalKind.AGENT and lifetime <= MAX_LIFETIME
    return (
        principal.kind is PrincipalKind.AGENT
        and key.issuer == f"agent:{principal.subject}"
        and not principal.teams
        and not principal.duties
        and lifetime <= AGENT_LIFETIME
    )


def _caller(claims: Mapping[str, object]) -> tuple[Caller, datetime]:
    try:
        principal = Principal(
            PrincipalKind(_text(claims, "kind")),
            _text(claims, "sub"),
            _texts(claims, "teams"),
            _texts(claims, "duties"),
        )
        issued, expires = _instant(claims, "iat"), _instant(claims, "exp")
        caller = Caller(principal, _text(claims, "aud"), _text(claims, "jti"), expires)
    except (ValueError, OverflowError, OSError) as error:
        raise TokenInvalid(_INVALID) from error
    if expires <= issued:
        raise TokenInvalid(_INVALID)
    return caller, issued


def _text(claims: Mapping[str, object], name: str) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not value:
        raise ValueError(name)
    return value


def _texts(claims: Mapping[str, object], name: str) -> tuple[str, ...]:
    value = claims.get(name, [])
    if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
        raise ValueError(name)
    return tuple(sorted(set(value)))


def _instant(claims: Mapping[str, object], name: str) -> datetime:
    value = claims.get(name)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(name)
    return datetime.fromtimestamp(value, UTC)
