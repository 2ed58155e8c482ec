"""Constants and parameters as values of the type that they are compared with.

DuckDB would otherwise convert the column to the constant's type, value by value, and fail on some:
`name = 5` tells whether a name is no number. So nothing but the constant is ever converted.
"""

from collections.abc import Callable, Sequence
from datetime import date, time
from decimal import Decimal, InvalidOperation

from domain_agent.enforcement import types
from domain_agent.enforcement.gate.values import Tree
from domain_agent.enforcement.groups import trees
from domain_agent.enforcement.groups.values import ParameterUse
from domain_agent.enforcement.literals import fitting
from mesh.errors import StatementAggregatesOnly, StatementParametersInvalid
from mesh.filters import Scalar

# Above every whole number that a column could hold.
_NO_INTEGER = 2**128


class Constants:
    """Writes constants anew, and notes which types parameters stand for."""

    def __init__(self) -> None:
        self.uses: set[ParameterUse] = set()

    def value(
        self, raw: object, type_: str, broken: Callable[[str], StatementAggregatesOnly]
    ) -> Tree:
        """The constant or parameter as a value of the type. Raises what `broken` makes."""
        if not _comparable(type_):
            raise broken(f"a {type_} is compared, and only text, numbers, dates and times can be")
        match raw:
            case {"class": "PARAMETER", "identifier": str(number)}:
                self.uses.add(ParameterUse(int(number), type_))
                return trees.parameter(int(number), type_)
            case {"class": "CONSTANT", "literal": {"kind": str(kind), "text": str(text)}}:
                scalar = _literal(kind, text)
            case {
                "class": "CAST",
                "child": {"class": "CONSTANT", "literal": {"kind": "STRING", "text": str(text)}},
            } if type_ != types.VARCHAR:
                # DATE '2026-03-01' and its like; the type that it names is not needed.
                scalar = text
            case _:
                raise broken(
                    "a condition compares with something else than a constant or a parameter"
                )
        fit = None if scalar is None else fitting(scalar, type_)
        if fit is None:
            raise broken(
                f"a constant is no value of {type_}, the type that it is compared with; write one"
                " that is, without rounding"
            )
        return trees.cast(fit, type_)


def check_values(uses: Sequence[ParameterUse], values: Sequence[object]) -> None:
    """Refuse a parameter that is no value of a type it stands for. NULL is one of every type."""
    for use in uses:
        value = values[use.number - 1] if use.number <= len(values) else None
        if value is None:
            continue
        scalar = _scalar(value)
        if scalar is None or fitting(scalar, use.type) is None:
            raise StatementParametersInvalid(
                f"Parameter {use.number} is compared with a {use.type}, and its value is none. "
                "Bind one that is, without rounding."
            )


def _comparable(type_: str) -> bool:
    known = (types.VARCHAR, types.BOOLEAN, types.DATE, types.TIME, types.UUID, *types.TIMESTAMPS)
    numbers = (types.FLOAT, types.DOUBLE, *types.INTEGERS)
    return type_ in known or type_ in numbers or types.decimal(type_) is not None


def _literal(kind: str, text: str) -> Scalar | None:
    match kind:
        case "STRING":
            return text
        case "BOOLEAN":
            return text in ("1", "true")
        case "INTEGER" | "NUMERIC":
            return _number(text.replace("_", ""))
        case _:
            return None


def _number(text: str) -> Scalar | None:
    try:
        return _exact(Decimal(text))
    except InvalidOperation:
        return None


def _exact(number: Decimal) -> Scalar | None:
    """The same number as int or float; None where a float would be another one."""
    if not number.is_finite():
        return None
    if number.copy_abs() < _NO_INTEGER and number == number.to_integral_value():
        return int(number)
    return float(number) if Decimal(repr(float(number))) == number else None


def _scalar(value: object) -> Scalar | None:
    """A bound value as constants are written; None for what no constant is."""
    match value:
        case bool() | int() | float() | str():
            return value
        case Decimal():
            return _exact(value)
        case date() | time():
            return value.isoformat()
        case _:
            return None
