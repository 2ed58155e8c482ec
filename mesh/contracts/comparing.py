"""Whether a row filter's comparison can be made with a column of some type."""

import re
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal

from mesh.contracts.problems import shown
from mesh.contracts.types import (
    INTEGER_BITS,
    UNSIGNED_BITS,
    ZONED,
    Family,
    canonical,
    decimal_size,
    family_of,
)
from mesh.filters import Comparison, Operator, Scalar

# Filters travel as canonical JSON, whose numbers are exact up to here.
MAX_NUMBER = 2**53 - 1
_ORDERED = frozenset({Operator.LT, Operator.LE, Operator.GT, Operator.GE})
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIME = re.compile(r"\d{2}:\d{2}(?::\d{2}(?:\.\d{1,6})?)?")
_INSTANT = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.(\d{1,6}))?)?))?(Z|[+-]\d{2}:\d{2})?"
)
_FRACTIONS = {"TIMESTAMP_S": 0, "TIMESTAMP_MS": 3}
_NANOSECOND_YEARS = range(1678, 2262)
_WANTED = {
    Family.TEXT: "text",
    Family.INTEGER: "a whole number that the type holds, up to 2^53 - 1",
    Family.NUMBER: "a number that the type holds",
    Family.BOOLEAN: "true or false",
    Family.DATE: "a date as in 2013-12-31",
    Family.TIMESTAMP: "an instant as in 2013-12-31T23:59:59, with an offset only for " + ZONED,
    Family.TIME: "a time as in 23:59:59",
}


def misfit(comparison: Comparison, logical_type: str, physical_type: str | None) -> str | None:
    """Why such columns can't be compared so; None when they can."""
    operator, family = comparison.operator, family_of(logical_type, physical_type)
    if operator is Operator.IS_NULL:
        return None
    if family is Family.OTHER:
        return "such columns can only be compared with is_null"
    if operator is Operator.STARTS_WITH and family is not Family.TEXT:
        return "starts_with compares text only"
    if operator in _ORDERED and family is Family.BOOLEAN:
        return "true and false have no order; use eq or ne"
    value = comparison.value
    values = value if isinstance(value, tuple) else (value,)
    fits = _CHECKS[family]
    wrong = next((v for v in values if not fits(v, physical_type)), None)
    return None if wrong is None else f"the value is {shown(wrong)}; allowed is {_WANTED[family]}"


def _text(value: Scalar, _: str | None) -> bool:
    return isinstance(value, str)


def _flag(value: Scalar, _: str | None) -> bool:
    return isinstance(value, bool)


def _whole(value: Scalar, physical_type: str | None) -> bool:
    if isinstance(value, bool) or not isinstance(value, int) or abs(value) > MAX_NUMBER:
        return False
    name = canonical(physical_type) if physical_type else None
    if name in UNSIGNED_BITS:
        return 0 <= value < 1 << UNSIGNED_BITS[name]
    half = 1 << INTEGER_BITS.get(name or "BIGINT", 64) - 1
    return -half <= value < half


def _number(value: Scalar, physical_type: str | None) -> bool:
    if not isinstance(value, float) and not _whole(value, None):
        return False
    size = decimal_size(physical_type) if physical_type else None
    if size is None:
        return True
    precision, scale = size
    _, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
    if not isinstance(exponent, int):
        return False
    return value == 0 or (-exponent <= scale and len(digits) + exponent <= precision - scale)


def _date(value: Scalar, _: str | None) -> bool:
    return isinstance(value, str) and _parses(date.fromisoformat, value, _DATE)


def _time(value: Scalar, _: str | None) -> bool:
    return isinstance(value, str) and _parses(time.fromisoformat, value, _TIME)


def _instant(value: Scalar, physical_type: str | None) -> bool:
    match = _INSTANT.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return False
    whole = f"{match[1]}T{match[2] or '00:00'}{match[4] or ''}"
    if not _parses(datetime.fromisoformat, whole, _INSTANT):
        return False
    if physical_type is None:
        return True
    name = canonical(physical_type) or ""
    if name == "TIMESTAMP_NS" and int(match[1][:4]) not in _NANOSECOND_YEARS:
        return False
    fraction = (match[3] or "").rstrip("0")
    return (match[4] is not None) == (name == ZONED) and len(fraction) <= _FRACTIONS.get(name, 6)


def _parses(parse: Callable[[str], object], text: str, form: re.Pattern[str]) -> bool:
    try:
        return form.fullmatch(text) is not None and parse(text) is not None
    except ValueError:
        return False


_CHECKS: dict[Family, Callable[[Scalar, str | None], bool]] = {
    Family.TEXT: _text,
    Family.INTEGER: _whole,
    Family.NUMBER: _number,
    Family.BOOLEAN: _flag,
    Family.DATE: _date,
    Family.TIMESTAMP: _instant,
    Family.TIME: _time,
}
