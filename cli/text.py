"""Text from elsewhere, made safe to show: names and messages may hold anything."""

import json
import textwrap
import unicodedata
from datetime import UTC, datetime

from mesh.times import rfc3339, rfc3339_micros

# Bidirectional controls can make a line read as something else than it says.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_SAFE = frozenset({"\u200c", "\u200d", "\u00ad"})


def plain(text: str) -> str:
    """The text on one line, with control characters spelled out."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def json_text(document: object, indent: int | None = None) -> str:
    """The document as JSON, in which what could steer a terminal is escaped as JSON has it."""
    text = json.dumps(document, indent=indent, ensure_ascii=False)
    if text.isascii():
        return text
    # ASCII's controls are escaped already, and anything else stands inside of a string.
    return "".join(
        json.dumps(one)[1:-1] if not one.isascii() and _is_unsafe(one) else one for one in text
    )


def instant(value: datetime) -> str:
    """RFC 3339 in UTC, with as many digits as it needs."""
    in_utc = value.astimezone(UTC)
    return rfc3339(in_utc) if in_utc.microsecond == 0 else rfc3339_micros(in_utc)


def spoken(sentence: str, width: int, used: int = 0) -> str:
    """The sentence, safe to show and broken between words; `used` is what precedes it."""
    return textwrap.fill(
        plain(sentence),
        width,
        initial_indent=" " * used,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    ).strip()


def _shown(character: str) -> str:
    if character in ("\n", "\t"):
        return " "
    if _is_unsafe(character):
        code = ord(character)
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    return character


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE and character not in _SAFE
