"""Thrift's compact protocol, read without a schema: as much as Parquet's metadata needs."""

from collections.abc import Mapping
from typing import TypeAlias

Struct: TypeAlias = Mapping[int, object]
_TRUE, _FALSE, _BYTE, _I64, _DOUBLE, _BINARY, _LIST, _SET, _STRUCT = 1, 2, 3, 6, 7, 8, 9, 10, 12
_DEEPEST = 12
_LONGEST_NUMBER = 10


class ThriftOdd(ValueError):
    """The bytes are no such struct."""


def read_struct(content: bytes) -> tuple[Struct, int]:
    """The struct that the bytes begin with, by field number, and its length. Raises ThriftOdd."""
    reader = _Reader(content)
    try:
        return reader.struct(0), reader.at
    except IndexError:
        raise ThriftOdd("it ends too early") from None


def places_of(content: bytes, depth: int, number: int) -> list[tuple[int, int]]:
    """From where to where the fields of that number are, in the structs of that depth."""
    reader = _Reader(content, (depth, number))
    reader.struct(0)
    return reader.marked


class _Reader:
    """Where the reading is, and the places of the fields that are sought."""

    def __init__(self, content: bytes, sought: tuple[int, int] = (-1, 0)) -> None:
        self._content, self._sought, self.at = content, sought, 0
        self.marked: list[tuple[int, int]] = []

    def struct(self, depth: int) -> Struct:
        """Fields until the stop; none may be there twice, for readers would differ."""
        if depth > _DEEPEST:
            raise ThriftOdd("it nests too deep")
        fields: dict[int, object] = {}
        number = 0
        start = self.at
        while head := self._byte():
            delta = head >> 4
            number = number + delta if delta else self._signed()
            if number in fields:
                raise ThriftOdd(f"field {number} is there twice")
            kind = head & 15
            flag = kind in (_TRUE, _FALSE)
            fields[number] = kind == _TRUE if flag else self._value(kind, depth + 1)
            if (depth, number) == self._sought:
                self.marked.append((start, self.at))
            start = self.at
        return fields

    def _value(self, kind: int, depth: int) -> object:
        if kind in (_TRUE, _FALSE):
            return self._byte() == _TRUE
        if _BYTE < kind <= _I64:
            return self._signed()
        if kind in (_BYTE, _DOUBLE, _BINARY):
            return self._bytes({_BYTE: 1, _DOUBLE: 8}.get(kind) or self._number())
        if kind in (_LIST, _SET):
            head = self._byte()
            size, item = head >> 4, head & 15
            size = self._number() if size == 15 else size
            # Every item has a byte at least, so the reading ends before the memory does.
            return [self._value(item, depth + 1) for _ in range(size)]
        if kind == _STRUCT:
            return self.struct(depth)
        raise ThriftOdd(f"a value has the unknown type {kind}")

    def _byte(self) -> int:
        byte = self._content[self.at]
        self.at += 1
        return byte

    def _bytes(self, size: int) -> bytes:
        found = self._content[self.at : self.at + size]
        if len(found) < size:
            raise IndexError
        self.at += size
        return found

    def _number(self) -> int:
        number = 0
        for place in range(_LONGEST_NUMBER):
            byte = self._byte()
            number |= (byte & 127) << 7 * place
            if byte < 128:
                return number
        raise ThriftOdd("a number is too long")

    def _signed(self) -> int:
        number = self._number()
        return number >> 1 ^ -(number & 1)
