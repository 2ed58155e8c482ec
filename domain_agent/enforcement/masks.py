"""Masks as SQL expressions: the column's type is kept, NULL stays NULL except under `constant`.

No expression here can raise an error, whatever the value: an error would tell the value.
What has no rounded value within its type becomes NULL.
"""

from dataclasses import dataclass

from domain_agent.enforcement import types
from mesh.masks import Mask

CONSTANT_TEXT = "***"
_CONSTANTS = {
    types.VARCHAR: f"'{CONSTANT_TEXT}'",
    types.BOOLEAN: "'false'",
    types.DATE: "'1970-01-01'",
    types.TIMESTAMP_TZ: "'1970-01-01 00:00:00+00'",
    **dict.fromkeys((types.FLOAT, types.DOUBLE, *types.INTEGERS), "0"),
}
_FIRST_INSTANT, _LAST_INSTANT = "0001-01-01 00:00:00", "9999-12-31 23:59:59.999999"


@dataclass(frozen=True, slots=True)
class Pseudonyms:
    """The names of the functions that make pseudonyms with one key."""

    of_text: str
    of_number: str


def applies(mask: Mask, column_type: str) -> bool:
    """Whether the mask can be applied to columns of this type."""
    match mask:
        case Mask.CLEAR | Mask.NULL | Mask.DROP:
            return True
        case Mask.CONSTANT:
            return _constant(column_type) is not None
        case Mask.PARTIAL:
            return column_type == types.VARCHAR
        case Mask.PSEUDONYM:
            return column_type in (types.VARCHAR, types.BIGINT)
        case Mask.GENERALISE:
            return _generalised("x", column_type) is not None


def expression(reference: str, column_type: str, mask: Mask, pseudonyms: Pseudonyms) -> str:
    """The SQL that stands for the column; `applies` holds and the mask is not `drop`."""
    sql: str | None = None
    match mask:
        case Mask.CLEAR:
            sql = reference
        case Mask.NULL:
            sql = f"CAST(NULL AS {column_type})"
        case Mask.CONSTANT:
            sql = _constant(column_type)
        case Mask.PARTIAL:
            sql = _partial(reference)
        case Mask.PSEUDONYM:
            text = column_type == types.VARCHAR
            function = pseudonyms.of_text if text else pseudonyms.of_number
            sql = f"{function}({reference})"
        case Mask.GENERALISE:
            sql = _generalised(reference, column_type)
        case Mask.DROP:
            sql = None
    if sql is None:
        raise ValueError(f"{mask} does not apply to {column_type}")
    return sql


def _constant(column_type: str) -> str | None:
    literal = _CONSTANTS.get(column_type)
    if literal is None and column_type in types.TIMESTAMPS:
        literal = "'1970-01-01 00:00:00'"
    if literal is None and types.decimal(column_type) is not None:
        literal = "0"
    return None if literal is None else f"CAST({literal} AS {column_type})"


def _partial(c: str) -> str:
    # A local part may itself hold an @, so what follows the last one is the domain.
    return (
        f"CASE WHEN contains({c}, '@') THEN substr({c}, 1, 1) || '***@' || split_part({c}, '@', -1)"
        f" WHEN length({c}) >= 8 THEN '***' || right({c}, 4)"
        f" WHEN {c} IS NOT NULL THEN '***' END"
    )


def _generalised(c: str, column_type: str) -> str | None:
    sql: str | None = None
    if column_type in types.INTEGERS:
        sql = _integer(c, column_type)
    elif column_type == types.DOUBLE:
        sql = f"floor({c} / 10) * 10"
    elif column_type == types.FLOAT:
        sql = f"TRY_CAST(floor(CAST({c} AS DOUBLE) / 10) * 10 AS FLOAT)"
    elif (decimal := types.decimal(column_type)) is not None:
        whole = types.BIGINT if decimal[0] <= 18 else "HUGEINT"
        sql = f"TRY_CAST({_integer(f'CAST(floor({c}) AS {whole})', whole)} AS {column_type})"
    elif column_type == types.DATE:
        within = f"{c} BETWEEN DATE '0001-01-01' AND DATE '9999-12-31'"
        sql = f"CASE WHEN {within} THEN make_date(year({c}), 1, 1) END"
    elif column_type in types.TIMESTAMPS:
        sql = _timestamp(c, column_type)
    return sql


def _integer(c: str, column_type: str) -> str:
    low, _ = types.INTEGERS[column_type]
    ten = f"CAST(10 AS {column_type})"
    if low == 0:
        return f"{c} - {c} % {ten}"
    first = f"CAST({-(-low // 10 * 10)} AS {column_type})"
    return f"CASE WHEN {c} >= {first} THEN {c} - ({c} % {ten} + {ten}) % {ten} END"


def _timestamp(c: str, column_type: str) -> str:
    if column_type == types.TIMESTAMP_TZ:
        offset, month = "+00", f"date_trunc('month', {c})"
    else:
        offset, month = "", f"date_trunc('month', CAST({c} AS TIMESTAMP))"
    # TIMESTAMP_NS ends long before the year 9999, so its bounds are compared as TIMESTAMP.
    compared = c if offset else f"CAST({c} AS TIMESTAMP)"
    bound = types.TIMESTAMP_TZ if offset else types.TIMESTAMP
    first, last = (f"CAST('{at}{offset}' AS {bound})" for at in (_FIRST_INSTANT, _LAST_INSTANT))
    return (
        f"CASE WHEN {compared} BETWEEN {first} AND {last}"
        f" THEN TRY_CAST({month} AS {column_type}) END"
    )
