"""Row filters in words: `country = 'NL' and not (tier is null)`."""

import json
from collections.abc import Mapping

from mesh.filters import (
    Both,
    Comparison,
    Either,
    Filter,
    Negation,
    Operator,
    Scalar,
    parse_filter,
)

_SIGNS = {
    Operator.EQ: "=",
    Operator.NE: "<>",
    Operator.LT: "<",
    Operator.LE: "<=",
    Operator.GT: ">",
    Operator.GE: ">=",
    Operator.IN: "in",
    Operator.STARTS_WITH: "starts with",
}


def filter_in_words(document: object) -> str:
    """What a filter keeps; one that this version can't read is shown as it is."""
    try:
        return _words(parse_filter(document))
    except ValueError:
        return json.dumps(document, ensure_ascii=False)


def stored_filter_in_words(text: str) -> str:
    """The same, for a filter kept as JSON."""
    try:
        document: object = json.loads(text)
    except ValueError:
        return text
    return filter_in_words(document) if isinstance(document, Mapping) else text


def _words(filter_: Filter) -> str:
    match filter_:
        case Comparison(column, Operator.IS_NULL, value):
            return f"{column} is {'null' if value else 'not null'}"
        case Comparison(column, operator, value):
            return f"{column} {_SIGNS[operator]} {_value(value)}"
        case Negation(inner):
            return f"not ({_words(inner)})"
        case Both(parts):
            return " and ".join(_grouped(part) for part in parts)
        case Either(parts):
            return " or ".join(_grouped(part) for part in parts)


def _grouped(filter_: Filter) -> str:
    words = _words(filter_)
    return f"({words})" if isinstance(filter_, Both | Either) else words


def _value(value: Scalar | tuple[Scalar, ...]) -> str:
    match value:
        case tuple():
            return f"({', '.join(_value(part) for part in value)})"
        case bool():
            return str(value).lower()
        case str():
            quoted = value.replace("'", "''")
            return f"'{quoted}'"
        case _:
            return str(value)
