"""Names and values as SQL text: quoted, typed by the column they meet, refused when they don't fit.

A `str` result is SQL; None means that the value is no value of that type.
"""

import math
import re
import struct
import uuid
from collections.abc import Callable
from datetime import date, datetime
from decimal import Context, Decimal, InvalidOperation

from domain_agent.enforcement import types
from mesh.filters import Scalar

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_TIMESTAMP = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:\.(\d{1,6}))?)?))?(Z|[+-]\d{2}:\d{2})?"
)
_TIME = re.compile(r"\d{2}:\d{2}(:\d{2}(\.\d{1,6})?)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FRACTION_DIGITS = {
    types.TIMESTAMP: 6,
    types.TIMESTAMP_TZ: 6,
    "TIMESTAMP_S": 0,
    "TIMESTAMP_MS": 3,
    "TIMESTAMP_NS": 6,
}
# Decimals have up to 38 digits; the usual context rounds to 28.
_EXACT = Context(prec=400)
_NS_YEARS = range(1678, 2262)


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal."""
    return "'" + value.replace("'", "''") + "'"


def typed(value: Scalar, column_type: str) -> str | None:
    """The value as a literal of exactly the column's type."""
    written = fitting(value, column_type)
    return None if written is None else f"CAST({text(written)} AS {column_type})"


def fitting(value: Scalar, column_type: str) -> str | None:
    """The text that casts to the value in the column's type, without rounding."""
    if isinstance(value, bool):
        return str(value).lower() if column_type == types.BOOLEAN else None
    if isinstance(value, str):
        convert = _OF_TEXT.get(column_type)
        return convert(value, column_type) if convert is not None else None
    if column_type in types.INTEGERS:
        low, high = types.INTEGERS[column_type]
        return str(value) if isinstance(value, int) and low <= value <= high else None
    if column_type in (types.DOUBLE, types.FLOAT):
        return _floating(value, column_type)
    if (decimal := types.decimal(column_type)) is not None:
        return _decimal(value, *decimal)
    return None


def _varchar(value: str, _: str) -> str | None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return None
    return value


def _date(value: str, _: str) -> str | None:
    if not _DATE.fullmatch(value):
        return None
    try:
        return date.fromisoformat(value).isoformat()
    except ValueError:
        return None


def _timestamp(value: str, column_type: str) -> str | None:
    match = _TIMESTAMP.fullmatch(value)
    if match is None:
        return None
    fraction, offset = match[3] or "", match[4]
    zoned = column_type == types.TIMESTAMP_TZ
    if (offset is not None) != zoned or len(fraction.rstrip("0")) > _FRACTION_DIGITS[column_type]:
        return None
    try:
        instant = datetime.fromisoformat(f"{match[1]}T{match[2] or '00:00'}{offset or ''}")
    except ValueError:
        return None
    if column_type == "TIMESTAMP_NS" and instant.year not in _NS_YEARS:
        return None
    return instant.isoformat(sep=" ")


def _time(value: str, _: str) -> str | None:
    if not _TIME.fullmatch(value):
        return None
    try:
        return datetime.fromisoformat(f"2000-01-01T{value}").time().isoformat()
    except ValueError:
        return None


def _uuid(value: str, _: str) -> str | None:
    return str(uuid.UUID(value)) if _UUID.fullmatch(value) else None


_OF_TEXT: dict[str, Callable[[str, str], str | None]] = {
    types.VARCHAR: _varchar,
    types.DATE: _date,
    types.TIME: _time,
    types.UUID: _uuid,
    **dict.fromkeys(types.TIMESTAMPS, _timestamp),
}


def _floating(value: int | float, column_type: str) -> str | None:
    try:
        number = float(value)
        if column_type == types.FLOAT:
            struct.pack("<f", number)
    except OverflowError:
        return None
    if not math.isfinite(number) or number != value:
        return None
    return repr(number)


def _decimal(value: int | float, precision: int, scale: int) -> str | None:
    try:
        number = Decimal(repr(value))
    except (InvalidOperation, ValueError):
        return None
    if not number.is_finite():
        return None
    _, digits, exponent = number.normalize(_EXACT).as_tuple()
    if not isinstance(exponent, int) or not number:
        return "0"
    if -exponent > scale or len(digits) + exponent > precision - scale:
        return None
    return f"{number:f}"
