"""Unquoted scalars by YAML 1.2: `no`, `on`, `1_000`, dates and leading zeros stay text."""

import math
import re

from mesh.contracts.problems import clip

MAX_INTEGER = 2**63

_NULL = re.compile(r"(?:null|Null|NULL|~|)")
_BOOLEANS = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]*)")
_BASED = {"0o": (re.compile(r"0o[0-7]+"), 8), "0x": (re.compile(r"0x[0-9a-fA-F]+"), 16)}
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|(?:0|[1-9][0-9]*)(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")


def plain_scalar(text: str) -> object:
    """The value of an unquoted scalar. Raises ValueError for a number that JSON can't hold."""
    if _NULL.fullmatch(text):
        return None
    if text in _BOOLEANS:
        return _BOOLEANS[text]
    if _INTEGER.fullmatch(text):
        return _integer(text, 10)
    if text[:2] in _BASED:
        pattern, base = _BASED[text[:2]]
        return _integer(text, base) if pattern.fullmatch(text) else text
    if _FLOAT.fullmatch(text):
        number = float(text)
        if not math.isfinite(number):
            raise ValueError(f"the number {clip(text, 40)} is too large; write it in quotes")
        return number
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a number that a contract can hold; write it in quotes")
    return text


def _integer(text: str, base: int) -> int:
    if len(text) > 24 or not -MAX_INTEGER <= (number := int(text, base)) < MAX_INTEGER:
        raise ValueError(f"the number {clip(text, 40)} is beyond 64 bits; write it in quotes")
    return number
