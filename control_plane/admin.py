"""The first token: without it nobody could issue any."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from control_plane.identity.keys import KeyRing, write_private
from mesh.errors import MeshError
from mesh.identity.duties import ADMIN
from mesh.identity.principal import CONTROL_AUDIENCE, Principal, PrincipalKind
from mesh.identity.tokens import MAX_LIFETIME, TokenIssuer, TokenVerifier

FILE = "admin.token"


def renew_admin_token(
    state: Path, keys: KeyRing, token_id: str, clock: Callable[[], datetime]
) -> Path:
    """Write a token of user admin to `admin.token`, mode 0600, unless a valid one is there."""
    path = state / FILE
    verifier = TokenVerifier(CONTROL_AUDIENCE, keys, clock)
    try:
        caller = verifier.verify(path.read_text(encoding="utf-8").strip())
        if caller.expires > clock():
            return path
    except (OSError, UnicodeDecodeError, MeshError):
        pass  # missing, expired or of an older key: a new one replaces it
    now = clock()
    principal = Principal(PrincipalKind.USER, "admin", duties=(ADMIN,))
    issuer = TokenIssuer(keys.token.id, keys.token.private)
    token = issuer.issue(principal, CONTROL_AUDIENCE, token_id, now, now + MAX_LIFETIME)
    write_private(path, f"{token}\n".encode())
    return path
