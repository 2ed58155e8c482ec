"""How a record lies in a segment: length and CRC-32 in 4 bytes each (big endian), then payload."""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass

HEADER_SIZE = 8
MAX_PAYLOAD = 1_000_000


@dataclass(frozen=True, slots=True)
class Frame:
    """A whole record found in a segment, and where the next one starts."""

    payload: bytes
    end: int


def frame(payload: bytes) -> bytes:
    """The record to append for a payload of at most MAX_PAYLOAD bytes."""
    if not 0 < len(payload) <= MAX_PAYLOAD:
        raise ValueError(f"a record holds 1 to {MAX_PAYLOAD} bytes, not {len(payload)}")
    return len(payload).to_bytes(4, "big") + zlib.crc32(payload).to_bytes(4, "big") + payload


def frame_at(segment: bytes, start: int) -> Frame | None:
    """The whole record that starts there, or None."""
    body = start + HEADER_SIZE
    if body > len(segment):
        return None
    length = int.from_bytes(segment[start : start + 4], "big")
    end = body + length
    if not 0 < length <= MAX_PAYLOAD or end > len(segment):
        return None
    payload = segment[body:end]
    if zlib.crc32(payload) != int.from_bytes(segment[start + 4 : body], "big"):
        return None
    return Frame(payload, end)


def frames(segment: bytes) -> Iterator[Frame]:
    """Every whole record from the start; stops before the first byte that is no whole record."""
    found = frame_at(segment, 0)
    while found is not None:
        yield found
        found = frame_at(segment, found.end)


def has_frame_after(segment: bytes, damage: int) -> bool:
    """Whether a whole record starts anywhere behind a damaged one: then it was no torn write."""
    return any(
        frame_at(segment, start) is not None
        for start in range(damage + 1, len(segment) - HEADER_SIZE)
    )
