"""Instants: RFC 3339 in and out, always UTC, and words for people."""

from datetime import UTC, datetime, timedelta


def rfc3339(instant: datetime) -> str:
    """Whole seconds, as decisions use them: `2026-03-01T12:00:00Z`."""
    return instant.astimezone(UTC).replace(microsecond=0).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micros(instant: datetime) -> str:
    """Microseconds, as events use them."""
    return instant.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def parse_rfc3339(text: str) -> datetime:
    """An instant with an offset, in UTC. Raises ValueError for anything else."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no offset; write for example 2026-03-01T12:00:00Z")
    return instant.astimezone(UTC)


def in_words(instant: datetime, now: datetime) -> str:
    """Distance from now in words: `in 3 days`, `5 minutes ago`, `now`."""
    seconds = round((instant - now) / timedelta(seconds=1))
    size = abs(seconds)
    for unit, length in (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1)):
        count = round(size / length)
        if count and size > length * 0.9:
            words = f"{count} {unit}{'s' if count != 1 else ''}"
            return f"in {words}" if seconds > 0 else f"{words} ago"
    return "now"
