"""What people type, read with care: product names, times, principals."""

import re
from datetime import UTC, datetime, timedelta

import click

from mesh.names import NAME_RULE, is_hyphenated, is_name
from mesh.times import in_words, parse_rfc3339, rfc3339

_LENGTH = re.compile(r"(\d{1,6})(s|m|h|d|w)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class ProductName(click.ParamType[tuple[str, str]]):
    """`domain.product`, as a pair."""

    name = "product"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        domain, dot, product = str(value).partition(".")
        if not dot or not is_name(domain) or not is_name(product):
            self.fail(f"{value!r} is not domain.product; a name is {NAME_RULE}", param, ctx)
        return domain, product


class DomainName(click.ParamType[str]):
    """The name of a domain."""

    name = "domain"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> str:
        if not is_name(str(value)):
            self.fail(f"{value!r} can't name a domain; a name is {NAME_RULE}", param, ctx)
        return str(value)


class AgentName(click.ParamType[tuple[str, str]]):
    """`domain/id` of an agent, as a pair."""

    name = "agent"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        domain, _, identifier = str(value).partition("/")
        if not is_name(domain) or not is_hyphenated(identifier):
            self.fail(f"{value!r} is not DOMAIN/ID; `mesh agent list` shows the names", param, ctx)
        return domain, identifier


class Reference(click.ParamType[tuple[str, str]]):
    """`user:ana`, `team:ops` or `service:loader`, as a pair."""

    name = "principal"

    def __init__(self, *kinds: str) -> None:
        self.kinds = kinds

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        kind, colon, subject = str(value).partition(":")
        if not colon or kind not in self.kinds or not subject:
            allowed = ", ".join(f"{kind}:NAME" for kind in self.kinds)
            self.fail(f"{value!r} is none of {allowed}", param, ctx)
        return kind, subject


class Length(click.ParamType[timedelta]):
    """A length of time: `90d`, `12h`, `30m`, `45s`, `2w`."""

    name = "length"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        if isinstance(value, timedelta):
            return value
        length = _length(str(value))
        if length is None:
            self.fail(
                f"{value!r} is no length of time; write for example 8h, 90d or 30m", param, ctx
            )
        return length


AGENT = AgentName()
DOMAIN = DomainName()
PRODUCT = ProductName()


def instant_ahead(text: str, now: datetime) -> tuple[datetime, str | None]:
    """An end: RFC 3339 with offset, a date (its last moment in UTC), or a length from now.

    The second part is what to tell people when we had to choose the instant.
    """
    length = _length(text)
    if length is not None:
        end = (now + length).replace(microsecond=0)
        return end, f"Until {rfc3339(end)}."
    if _DATE.fullmatch(text):
        end = _midnight(text) + timedelta(days=1)
        return end, f"Until the end of {text} in UTC: {rfc3339(end)}, {in_words(end, now)}."
    return _rfc3339(text), None


def instant_behind(text: str, now: datetime) -> datetime:
    """A beginning: RFC 3339 with offset, a date (its first moment in UTC), or a length ago."""
    length = _length(text)
    if length is not None:
        return now - length
    if _DATE.fullmatch(text):
        return _midnight(text)
    return _rfc3339(text)


def instant_ended(text: str, now: datetime) -> datetime:
    """The end of what is past: RFC 3339 with offset, a date (its last moment), or a length ago."""
    if _DATE.fullmatch(text):
        return _midnight(text) + timedelta(days=1)
    return instant_behind(text, now)


def _length(text: str) -> timedelta | None:
    match = _LENGTH.fullmatch(text)
    if match is None:
        return None
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _midnight(text: str) -> datetime:
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError as error:
        raise click.UsageError(f"{text!r} is no date of the calendar.") from error


def _rfc3339(text: str) -> datetime:
    try:
        return parse_rfc3339(text)
    except ValueError as error:
        raise click.UsageError(
            f"{text!r} is no time. Write 2026-12-31T17:00:00Z, 2026-12-31T18:00:00+01:00,"
            " 2026-12-31, or a length such as 90d or 12h."
        ) from error
