"""Tokens: what is believed, and every way of lying that is not."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.errors import MeshError, TokenAudience, TokenExpired, TokenInvalid, TokenMissing
from mesh.identity.principal import CONTROL_AUDIENCE, Principal, PrincipalKind, domain_audience
from mesh.identity.tokens import (
    MAX_TOKEN_CHARS,
    TokenIssuer,
    TokenKey,
    TokenVerifier,
    agent_key_id,
    agent_token,
)

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
KEY = Ed25519PrivateKey.generate()
AGENT_KEY = Ed25519PrivateKey.generate()
ANA = Principal(PrincipalKind.USER, "ana", ("crew", "ops"), ("owner:bookings",))


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


@dataclass
class Keys:
    known: dict[str, TokenKey]
    asked: int = 0

    def token_key(self, key_id: str) -> TokenKey | None:
        self.asked += 1
        return self.known.get(key_id)


def keys() -> Keys:
    agent = agent_key_id("bookings", "bookings-1")
    return Keys(
        {
            "token-1": TokenKey("token-1", "meshwarden", raw(KEY)),
            agent: TokenKey(agent, agent, raw(AGENT_KEY)),
        }
    )


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def verifier(audience: str = CONTROL_AUDIENCE, clock: Clock | None = None) -> TokenVerifier:
    return TokenVerifier(audience, keys(), clock or Clock())


def issue(audience: str = CONTROL_AUDIENCE, principal: Principal = ANA) -> str:
    return TokenIssuer("token-1", KEY).issue(
        principal, audience, "jti-1", NOW, NOW + timedelta(hours=1)
    )


def encode(part: object) -> str:
    content = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


HEADER: dict[str, object] = {"alg": "Ed25519", "kid": "token-1", "typ": "JWT"}
CLAIMS: dict[str, object] = {
    "iss": "meshwarden",
    "sub": "ana",
    "aud": CONTROL_AUDIENCE,
    "iat": int(NOW.timestamp()),
    "exp": int(NOW.timestamp()) + 3600,
    "jti": "jti-1",
    "kind": "user",
    "teams": [],
    "duties": [],
}


def signed(
    header: dict[str, object] | None = None,
    claims: dict[str, object] | None = None,
    key: Ed25519PrivateKey = KEY,
) -> str:
    """A token signed for real over whatever header and claims a test invents."""
    body = f"{encode({**HEADER, **(header or {})})}.{encode({**CLAIMS, **(claims or {})})}"
    return f"{body}.{encode(key.sign(body.encode()))}"


def test_an_issued_token_proves_its_principal() -> None:
    caller = verifier().verify(issue())
    assert caller.principal == ANA
    assert caller.audience == CONTROL_AUDIENCE
    assert caller.token_id == "jti-1"
    assert caller.expires == NOW + timedelta(hours=1)


def test_a_token_of_our_own_making_in_a_test_is_believed() -> None:
    assert verifier().verify(signed()).principal.reference == "user:ana"


def test_an_agent_proves_itself_with_its_own_key() -> None:
    token = agent_token("bookings", "bookings-1", AGENT_KEY, "j", NOW)
    assert verifier().verify(token).principal.reference == "agent:bookings/bookings-1"


def test_no_token_is_missing() -> None:
    with pytest.raises(TokenMissing):
        verifier().verify("")


def test_a_domain_token_is_refused_by_the_control_plane_and_by_other_domains() -> None:
    token = issue(domain_audience("bookings"))
    assert verifier(domain_audience("bookings")).verify(token).principal.subject == "ana"
    for other in (CONTROL_AUDIENCE, domain_audience("fleet")):
        with pytest.raises(TokenAudience):
            verifier(other).verify(token)


def test_a_control_token_is_refused_by_a_domain() -> None:
    with pytest.raises(TokenAudience):
        verifier(domain_audience("bookings")).verify(issue())


def test_a_token_expires_with_sixty_seconds_of_leeway_also_when_cached() -> None:
    clock = Clock()
    checker = verifier(clock=clock)
    token = issue()
    clock.now = NOW + timedelta(hours=1, seconds=60)
    checker.verify(token)
    clock.now = NOW + timedelta(hours=1, seconds=61)
    with pytest.raises(TokenExpired):
        checker.verify(token)


def test_a_token_from_the_future_is_refused_beyond_the_leeway() -> None:
    clock = Clock()
    clock.now = NOW - timedelta(seconds=60)
    verifier(clock=clock).verify(issue())
    clock.now = NOW - timedelta(seconds=61)
    with pytest.raises(TokenInvalid):
        verifier(clock=clock).verify(issue())


def test_a_verified_token_is_not_verified_again() -> None:
    source = keys()
    checker = TokenVerifier(CONTROL_AUDIENCE, source, Clock())
    token = issue()
    checker.verify(token)
    checker.verify(token)
    assert source.asked == 1


def test_a_refused_token_is_not_remembered() -> None:
    source = keys()
    checker = TokenVerifier(CONTROL_AUDIENCE, source, Clock())
    for _ in range(2):
        with pytest.raises(TokenInvalid):
            checker.verify(signed(key=AGENT_KEY))
    assert source.asked == 2


FORGED_HEADERS: list[dict[str, object]] = [
    {"alg": "none"},
    {"alg": "None"},
    {"alg": "EdDSA"},
    {"alg": "HS256"},
    {"alg": "ES256"},
    {"alg": "Ed448"},
    {"alg": "ed25519"},
    {"alg": None},
    {"alg": 1},
    {"alg": ["Ed25519"]},
    {"kid": "token-2"},
    {"kid": ""},
    {"kid": None},
    {"kid": 1},
    {"kid": ["token-1"]},
    {"kid": "../../token-1"},
    {"kid": "token-1' OR '1'='1"},
    {"kid": "agent:bookings/bookings-1"},
    {"jku": "https://example.org/keys"},
    {"x5u": "https://example.org/cert"},
    {"jwk": {"kty": "OKP", "crv": "Ed25519", "x": encode(raw(AGENT_KEY))}},
    {"x5c": ["MIIB"]},
    {"x5t": "abc"},
    {"crit": ["exp"]},
    {"crit": ["b64"], "b64": False},
    {"b64": False},
    {"zip": "DEF"},
    {"cty": "JWT"},
    {"typ": "at+jwt"},
    {"typ": 1},
    {"unknown": "x"},
]


@pytest.mark.parametrize("header", FORGED_HEADERS, ids=range(len(FORGED_HEADERS)))
def test_a_forged_header_is_refused(header: dict[str, object]) -> None:
    with pytest.raises(TokenInvalid):
        verifier().verify(signed(header))


FORGED_CLAIMS: list[dict[str, object]] = [
    {"iss": "someone"},
    {"iss": None},
    {"iss": ["meshwarden"]},
    {"iss": agent_key_id("bookings", "bookings-1")},
    {"sub": ""},
    {"sub": None},
    {"sub": 1},
    {"aud": None},
    {"aud": [CONTROL_AUDIENCE]},
    {"aud": ""},
    {"exp": None},
    {"exp": "tomorrow"},
    {"exp": True},
    {"exp": 1e300},
    {"exp": 10**30},
    {"exp": -(10**30)},
    {"exp": int(NOW.timestamp())},
    {"exp": int(NOW.timestamp()) - 1},
    {"exp": int(NOW.timestamp()) + 24 * 3600 + 1},
    {"iat": None},
    {"iat": "now"},
    {"iat": int(NOW.timestamp()) + 3600, "exp": int(NOW.timestamp()) + 7200},
    {"jti": ""},
    {"jti": None},
    {"kind": "agent"},
    {"kind": "root"},
    {"kind": None},
    {"kind": ["user"]},
    {"teams": "ops"},
    {"teams": [1]},
    {"teams": [""]},
    {"teams": {"ops": True}},
    {"duties": "admin"},
    {"duties": [None]},
]


@pytest.mark.parametrize("claims", FORGED_CLAIMS, ids=str)
def test_a_forged_claim_is_refused(claims: dict[str, object]) -> None:
    with pytest.raises(TokenInvalid):
        verifier().verify(signed(claims=claims))


def test_a_token_signed_with_another_key_is_refused() -> None:
    with pytest.raises(TokenInvalid):
        verifier().verify(signed(key=Ed25519PrivateKey.generate()))


def test_an_unsigned_token_is_refused() -> None:
    body = f"{encode({**HEADER, 'alg': 'none'})}.{encode(CLAIMS)}."
    with pytest.raises(TokenInvalid):
        verifier().verify(body)


def test_a_token_signed_with_the_public_key_as_secret_is_refused() -> None:
    body = f"{encode({**HEADER, 'alg': 'HS256'})}.{encode(CLAIMS)}"
    mac = HMAC(raw(KEY), SHA256())
    mac.update(body.encode())
    with pytest.raises(TokenInvalid):
        verifier().verify(f"{body}.{encode(mac.finalize())}")


def test_a_token_of_another_kind_of_key_is_refused() -> None:
    body = f"{encode({**HEADER, 'alg': 'ES256'})}.{encode(CLAIMS)}"
    signature = ec.generate_private_key(ec.SECP256R1()).sign(body.encode(), ec.ECDSA(SHA256()))
    with pytest.raises(TokenInvalid):
        verifier().verify(f"{body}.{encode(signature)}")


def test_an_agent_can_speak_for_no_other_agent_and_for_no_user() -> None:
    own = agent_key_id("bookings", "bookings-1")
    short = {"iss": own, "exp": int(NOW.timestamp()) + 300, "kind": "agent"}
    header: dict[str, object] = {"kid": own}
    right = signed(header, {**short, "sub": "bookings/bookings-1"}, AGENT_KEY)
    assert verifier().verify(right).principal.kind is PrincipalKind.AGENT
    for claims in (
        {**short, "sub": "bookings/bookings-2"},
        {**short, "sub": "fleet/bookings-1"},
        {**short, "sub": "ana", "kind": "user"},
        {**short, "sub": "bookings/bookings-1", "iss": "meshwarden"},
        {**short, "sub": "bookings/bookings-1", "duties": ["admin"]},
        {**short, "sub": "bookings/bookings-1", "teams": ["ops"]},
        {**short, "sub": "bookings/bookings-1", "exp": int(NOW.timestamp()) + 301},
    ):
        with pytest.raises(TokenInvalid):
            verifier().verify(signed(header, claims, AGENT_KEY))


def test_our_own_key_makes_no_agent_tokens() -> None:
    claims: dict[str, object] = {"kind": "agent", "sub": "bookings/bookings-1"}
    with pytest.raises(TokenInvalid):
        verifier().verify(signed(claims=claims))


def test_a_payload_that_is_no_object_is_refused() -> None:
    for payload in (b"[]", b"null", b"1", b'"x"', b"not json", b"\xff"):
        body = f"{encode(HEADER)}.{encode(payload)}"
        with pytest.raises(TokenInvalid):
            verifier().verify(f"{body}.{encode(KEY.sign(body.encode()))}")


def test_a_huge_token_is_refused_before_it_is_read() -> None:
    with pytest.raises(TokenInvalid, match="longer than"):
        verifier().verify("a" * (MAX_TOKEN_CHARS + 1))


@settings(deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises((TokenInvalid, TokenMissing)):
        verifier().verify(text)


@settings(deadline=None)
@given(st.data())
def test_a_token_with_one_changed_character_is_refused(data: st.DataObject) -> None:
    token = issue()
    # The last character has unused bits: changing those spells the same signature differently.
    index = data.draw(st.integers(0, len(token) - 2))
    replacement = data.draw(st.sampled_from("AQgw0_-.").filter(lambda text: text != token[index]))
    changed = token[:index] + replacement + token[index + 1 :]
    with pytest.raises(MeshError):
        verifier().verify(changed)


def test_no_refusal_repeats_the_token() -> None:
    token = signed({"kid": "secret-key-name"}, {"sub": "secret-subject"})
    with pytest.raises(TokenInvalid) as refused:
        verifier().verify(token)
    assert "secret" not in str(refused.value)
    assert token not in str(refused.value)
