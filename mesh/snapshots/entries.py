"""What an agent must know, as keyed entries: their digest, their parts, their differences.

Keys are `contract/<product>/<version>`, `agreement/<id>`, `purpose/<id>`, `policy/<path>` and
`key/<id>`; agents.proto says what each value is.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

MAX_PART_BYTES = 1024 * 1024
# Room for the field tags and lengths that the wire adds to each entry.
_ENTRY_OVERHEAD = 32


@dataclass(frozen=True, slots=True)
class Difference:
    """What turns one set of entries into another."""

    upserts: Mapping[str, bytes]
    removals: tuple[str, ...]

    @property
    def size(self) -> int:
        """About as many bytes as it takes on the wire; never fewer."""
        return sum(entry_size(key, value) for key, value in self.upserts.items()) + sum(
            len(key.encode()) + _ENTRY_OVERHEAD for key in self.removals
        )

    def apply(self, entries: Mapping[str, bytes]) -> dict[str, bytes]:
        """The entries after the change; a removal of what is not there changes nothing."""
        changed = {**entries, **self.upserts}
        for key in self.removals:
            changed.pop(key, None)
        return changed


def entries_digest(entries: Mapping[str, bytes]) -> bytes:
    """SHA-256 over, by key (its bytes): its length in 8 bytes, the key, SHA-256 of the value."""
    hashed = hashlib.sha256()
    for key in sorted(key.encode() for key in entries):
        hashed.update(len(key).to_bytes(8, "big"))
        hashed.update(key)
        hashed.update(hashlib.sha256(entries[key.decode()]).digest())
    return hashed.digest()


def difference(old: Mapping[str, bytes], new: Mapping[str, bytes]) -> Difference:
    """What changed from old to new, by key."""
    upserts = {key: new[key] for key in sorted(new) if old.get(key) != new[key]}
    return Difference(upserts, tuple(sorted(set(old) - set(new))))


def entry_size(key: str, value: bytes) -> int:
    """At least as many bytes as the entry takes on the wire."""
    return len(key.encode()) + len(value) + _ENTRY_OVERHEAD


def parts(entries: Mapping[str, bytes]) -> Iterator[dict[str, bytes]]:
    """The entries by key in pieces of at most 1 MiB; a larger single entry is a ValueError."""
    part: dict[str, bytes] = {}
    size = 0
    for key in sorted(entries):
        needed = entry_size(key, entries[key])
        if needed > MAX_PART_BYTES:
            raise ValueError(f"entry {key} is {needed} bytes; a part holds {MAX_PART_BYTES}")
        if part and size + needed > MAX_PART_BYTES:
            yield part
            part, size = {}, 0
        part[key] = entries[key]
        size += needed
    if part:
        yield part
