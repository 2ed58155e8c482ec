"""Instants and durations on the wire."""

from datetime import UTC, datetime, timedelta

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from mesh.errors import RequestInvalid


def to_timestamp(instant: datetime) -> Timestamp:
    """The instant with microseconds."""
    stamp = Timestamp()
    stamp.FromDatetime(instant.astimezone(UTC))
    return stamp


def from_timestamp(stamp: Timestamp, field: str) -> datetime:
    """The instant, in UTC. Raises RequestInvalid for one that no calendar holds."""
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise RequestInvalid(f"`{field}` is no instant between the years 1 and 9999") from error


def to_duration(length: timedelta) -> Duration:
    """The length with microseconds."""
    duration = Duration()
    duration.FromTimedelta(length)
    return duration


def from_duration(duration: Duration, field: str) -> timedelta:
    """The length. Raises RequestInvalid for one out of range."""
    try:
        return duration.ToTimedelta()
    except (ValueError, OverflowError) as error:
        raise RequestInvalid(f"`{field}` is no length of time") from error
