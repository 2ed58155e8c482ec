"""What a token says of itself, read without checking it: for people, never for decisions."""

import base64
import binascii
import json
from datetime import UTC, datetime

from cli.text import plain
from mesh.times import in_words, rfc3339


def described(token: str, now: datetime) -> str:
    """Whose token it says it is and until when; a token that says nothing readable is `set`."""
    claims = _claims(token)
    subject, end = claims.get("sub"), claims.get("exp")
    if not isinstance(subject, str):
        return "set"
    who = f"{claims.get('kind', 'user')}:{plain(subject)}"
    try:
        until = datetime.fromtimestamp(float(str(end)), UTC)
    except (ValueError, OverflowError, OSError):
        return who
    verb = "expired" if until <= now else "expires"
    return f"{who}, {verb} {in_words(until, now)} ({rfc3339(until)})"


def _claims(token: str) -> dict[str, object]:
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    padded = parts[1] + "=" * (-len(parts[1]) % 4)
    try:
        claims = json.loads(base64.urlsafe_b64decode(padded))
    except (binascii.Error, ValueError, RecursionError):
        return {}
    return claims if isinstance(claims, dict) else {}
