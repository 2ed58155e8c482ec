"""Canonical JSON (RFC 8785): how decisions and events are compared, stored and hashed."""

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

import rfc8785

_LARGEST = 2**53 - 1
# What agents write has some 20 levels at most, a filter in a decision that nests as it may.
MAX_DEPTH = 32
_NESTS = (dict, list)
_encode = json.JSONEncoder(
    ensure_ascii=False,
    allow_nan=False,
    check_circular=False,
    sort_keys=True,
    separators=(",", ":"),
).encode


class NotCanonical(ValueError):
    """Bytes are JSON, but not in canonical form."""


class _Fraction(Exception):
    """A number is a fraction, which the standard library writes in another way."""


def canonical(document: object) -> bytes:
    """The canonical bytes. Raises ValueError for what JSON can't hold."""
    if type(document) is str and _needs_no_escape(document):
        return b'"%b"' % document.encode()
    if _is_plain(document):
        try:
            return _encode(document).encode()
        except UnicodeEncodeError:  # a lone surrogate, which the other way words better
            pass
    return rfc8785.dumps(cast("dict[str, rfc8785._impl._Value]", document))


def read_canonical(document: bytes) -> object:
    """What canonical bytes say. Raises NotCanonical for other JSON, ValueError for what is none.

    RecursionError for JSON that is nested too deep.
    """
    text = document.decode()
    if text.isascii():
        try:
            read = _read_plain(text)
        except _Fraction:
            pass
        else:
            # What has ASCII keys has the order of UTF-16; an escaped key is not canonical at all.
            if _encode(read) != text:
                raise NotCanonical
            return read
    read = json.loads(text)
    if canonical(read) != document:
        raise NotCanonical
    return read


def is_too_deep(document: object) -> bool:
    """Whether a document nests deeper than events may, whatever room the caller's stack has."""
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = [item for one in level for item in _items(one) if isinstance(item, _NESTS)]
        if not level:
            return False
    return True


def digest(document: object) -> str:
    """SHA-256 of the canonical bytes, in hexadecimal."""
    return hashlib.sha256(canonical(document)).hexdigest()


def canonical_fields(document: Mapping[str, object]) -> dict[str, bytes]:
    """The canonical form of each value of an object. Raises ValueError as `canonical`."""
    return {key: canonical(value) for key, value in document.items()}


def joined(fields: Mapping[str, bytes]) -> bytes:
    """The canonical object whose values are in canonical form already; its keys are ASCII names."""
    return b"{%b}" % b",".join([b'"%b":%b' % (key.encode(), fields[key]) for key in sorted(fields)])


def listed(items: Iterable[bytes]) -> bytes:
    """The canonical array of items that are in canonical form already."""
    return b"[%b]" % b",".join(items)


def _needs_no_escape(text: str) -> bool:
    return text.isascii() and text.isprintable() and '"' not in text and "\\" not in text


def _items(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else value.values()


def _is_plain(value: Any) -> bool:
    """Whether the standard library's encoder, seven times as fast, gives the canonical form.

    It does where nothing is a fraction, no integer is too large for RFC 8785, and the order of
    keys is the same in UTF-16 as in code points.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return True
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str or not key.isascii():
                return False
            if type(item) is not str and not _is_plain(item):
                return False
        return True
    if kind is list or kind is tuple:
        return all(map(_is_plain, value))
    return kind is int and -_LARGEST <= value <= _LARGEST


def _fraction(text: str) -> float:
    raise _Fraction(text)


def _integer(text: str) -> int:
    number = int(text)
    if not -_LARGEST <= number <= _LARGEST:
        raise ValueError(f"{text[:32]} is no integer that JSON holds everywhere")
    return number


_read_plain = json.JSONDecoder(parse_float=_fraction, parse_int=_integer).decode
