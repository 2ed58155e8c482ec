"""FlightData framed by hand: the protobuf message joined once around the body."""

import struct

from domain_agent.flight.ports import Batch

_HEADER_TAG = b"\x12"  # field 2, length-delimited
_BODY_TAG = b"\xc2\x3e"  # field 1000, length-delimited
_CONTINUATION = 0xFFFFFFFF


def schema_frame(schema: bytes) -> bytes:
    """The FlightData that opens a stream, from an IPC-encapsulated schema message."""
    return _header(unwrapped(schema))


def batch_frame(batch: Batch) -> bytes:
    """The FlightData of one batch."""
    size = batch.body.nbytes if isinstance(batch.body, memoryview) else len(batch.body)
    if size == 0:
        return _header(batch.header)
    return b"".join((_header(batch.header), _BODY_TAG, _varint(size), batch.body))


def unwrapped(message: bytes) -> bytes:
    """The header of an encapsulated IPC message. Raises ValueError for anything else."""
    if len(message) < 8:
        raise ValueError("an encapsulated IPC message has at least 8 bytes")
    marker, size = struct.unpack_from("<II", message)
    if marker != _CONTINUATION or 8 + size > len(message):
        raise ValueError("not an encapsulated IPC message")
    return message[8 : 8 + size]


def split(encapsulated: memoryview) -> tuple[bytes, memoryview]:
    """Header and body of an encapsulated record batch, the body without a copy."""
    (size,) = struct.unpack_from("<I", encapsulated, 4)
    return bytes(encapsulated[8 : 8 + size]), encapsulated[8 + size :]


def encapsulated(header: bytes, body: bytes) -> bytes:
    """An IPC message as a stream holds it, from the two parts of a FlightData."""
    padding = -len(header) % 8
    prefix = struct.pack("<II", _CONTINUATION, len(header) + padding)
    return b"".join((prefix, header, b"\0" * padding, body))


def _header(header: bytes) -> bytes:
    return b"".join((_HEADER_TAG, _varint(len(header)), header))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
