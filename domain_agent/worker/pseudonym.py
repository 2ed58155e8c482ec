"""Pseudonyms: keyed BLAKE2b of a value's canonical bytes, as functions over Arrow arrays.

The key lives in a closure. Equal values get equal pseudonyms under one key, whatever the column.
"""

from collections.abc import Callable
from functools import partial
from hashlib import blake2b
from typing import TypeAlias

import pyarrow as pa

_TEXT_BYTES, _NUMBER_BYTES = 16, 8
_POSITIVE = 2**63 - 1
_REMEMBERED = 1 << 17

ArrowFunction: TypeAlias = Callable[[pa.ChunkedArray | pa.Array], pa.Array]


def text_pseudonyms(key: bytes) -> ArrowFunction:
    """Strings to 32 hexadecimal characters."""
    known: dict[str, str] = {}
    hashed = partial(blake2b, key=key, digest_size=_TEXT_BYTES)

    def pseudonym(value: str) -> str:
        found = hashed(value.encode()).hexdigest()
        if len(known) >= _REMEMBERED:
            known.clear()
        known[value] = found
        return found

    def pseudonyms(values: pa.ChunkedArray | pa.Array) -> pa.Array:
        listed = values.to_pylist()
        return pa.array(
            [None if value is None else known.get(value) or pseudonym(value) for value in listed],
            pa.string(),
        )

    return pseudonyms


def number_pseudonyms(key: bytes) -> ArrowFunction:
    """64-bit integers to 63-bit non-negative ones."""
    known: dict[int, int] = {}
    hashed = partial(blake2b, key=key, digest_size=_NUMBER_BYTES)

    def pseudonym(value: int) -> int:
        digest = hashed(value.to_bytes(8, "big", signed=True)).digest()
        found = int.from_bytes(digest, "big") & _POSITIVE
        if len(known) >= _REMEMBERED:
            known.clear()
        known[value] = found
        return found

    def pseudonyms(values: pa.ChunkedArray | pa.Array) -> pa.Array:
        listed = values.to_pylist()
        return pa.array(
            [None if value is None else known.get(value) or pseudonym(value) for value in listed],
            pa.int64(),
        )

    return pseudonyms
