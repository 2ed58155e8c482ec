"""The one form of Parquet that exports have, checked byte by byte before any reader trusts it.

Statistics, indexes and filters tell readers which rows they need not look at, so a file that lies
there shows less than it holds; dictionaries and sizes can make a small file fill the memory.
"""

import os
from collections.abc import Mapping, Sequence
from typing import BinaryIO

from cli.thrift import Struct, ThriftOdd, places_of, read_struct

ROWS = 5_000
GROUP_BYTES = 32 * 1024 * 1024
_MOST_BYTES = 2 * GROUP_BYTES + 16 * 1024 * 1024
_MOST_VALUES = 1_000_000
_FOOTER_BYTES = 64 * 1024 * 1024
_HEADER_BYTES = 4_096
_MAGIC = b"PAR1"
_DATA_PAGE, _PLAIN = 0, 0
# ColumnMetaData.size_statistics, the last field that pyarrow writes there: it can't be told not to.
_SIZES_DEPTH, _SIZES = 5, 16
# The fields that our own writer writes, by their numbers in parquet.thrift.
_FILE = frozenset({1, 2, 3, 4, 5, 6, 7})
_GROUP = frozenset({1, 2, 3, 5, 6, 7})
_CHUNK = frozenset({2, 3})
_COLUMN = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 13})
_PAGE = frozenset({1, 2, 3, 4, 5})
_DATA = frozenset({1, 2, 3, 4, 5})


class FormOdd(ValueError):
    """The file is not as an export's writer makes it."""


def check_form(file: BinaryIO, columns: int) -> None:
    """Raises FormOdd for anything that a writer of exports does not write."""
    try:
        end, content = _footer(file)
        footer, used = read_struct(content)
        if used != len(content):
            raise FormOdd("its footer goes on after its end")
        _only(footer, _FILE, "file")
        groups = _structs(footer.get(4), "row groups")
        if sum(_whole(group.get(3)) for group in groups) != _whole(footer.get(3)):
            raise FormOdd("its row groups have other rows than it says")
        at = len(_MAGIC)
        for group in groups:
            at = _check_group(file, group, at, columns)
        if at > end:
            raise FormOdd("its pages reach into its footer")
    except ThriftOdd as error:
        raise FormOdd(f"its metadata can't be read: {error}") from error


def without_sizes(file: BinaryIO) -> None:
    """Take the statistics of sizes out of the footer of a file that was just written."""
    end, content = _footer(file)
    kept, at = [], 0
    for start, stop in places_of(content, _SIZES_DEPTH, _SIZES):
        kept.append(content[at:start])
        at = stop
    footer = b"".join([*kept, content[at:]])
    file.seek(end)
    file.write(footer + len(footer).to_bytes(4, "little") + _MAGIC)
    file.truncate()


def _footer(file: BinaryIO) -> tuple[int, bytes]:
    """Where the footer begins, and its bytes."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    tail = file.read(8)
    length = int.from_bytes(tail[:4], "little")
    end = size - 8 - length
    if tail[4:] != _MAGIC or length > _FOOTER_BYTES or end < len(_MAGIC):
        raise FormOdd("it has no footer of Parquet, or one that is too large")
    file.seek(end)
    return end, file.read(length)


def _check_group(file: BinaryIO, group: Struct, at: int, columns: int) -> int:
    """Where the next row group may begin."""
    _only(group, _GROUP, "row group")
    chunks = _structs(group.get(1), "columns")
    if _whole(group.get(3)) > ROWS or len(chunks) != columns:
        raise FormOdd(f"a row group has {columns} columns and at most {ROWS:,} rows")
    room = _MOST_BYTES
    for chunk in chunks:
        _only(chunk, _CHUNK, "column")
        column = _struct(chunk.get(3), "column")
        _only(column, _COLUMN, "column")
        start, length = _whole(column.get(9)), _whole(column.get(7))
        if start < at:
            raise FormOdd("its columns overlap")
        at = start + length
        room -= _check_pages(file, start, at, _whole(column.get(5)))
        if room < 0:
            raise FormOdd(f"a row group has more than {_MOST_BYTES:,} bytes")
    return at


def _check_pages(file: BinaryIO, at: int, end: int, values: int) -> int:
    """How many bytes the pages of a column have in memory."""
    size = 0
    if values > _MOST_VALUES:
        raise FormOdd(f"a column has more than {_MOST_VALUES:,} values in a row group")
    while at < end:
        file.seek(at)
        page, used = read_struct(file.read(_HEADER_BYTES))
        _only(page, _PAGE, "page")
        data = _struct(page.get(5), "page")
        _only(data, _DATA, "page")
        # What would be statistics is there, without any.
        _only(_struct(data.get(5, {}), "page"), frozenset(), "page")
        if (page.get(1), data.get(2)) != (_DATA_PAGE, _PLAIN):
            raise FormOdd("a page is encoded in another way")
        at += used + _whole(page.get(3))
        size += used + _whole(page.get(2))
        values -= _whole(data.get(1))
    if at != end or values != 0:
        raise FormOdd("its pages have another length or number of values than it says")
    return size


def _only(struct: Struct, allowed: frozenset[int], what: str) -> None:
    odd = sorted(struct.keys() - allowed)
    if odd:
        raise FormOdd(f"a {what} has statistics, an index or something else (field {odd[0]})")


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FormOdd("a count is missing or below zero")
    return value


def _struct(value: object, what: str) -> Struct:
    if not isinstance(value, Mapping):
        raise FormOdd(f"a {what} is missing")
    return value


def _structs(value: object, what: str) -> Sequence[Struct]:
    if not isinstance(value, list):
        raise FormOdd(f"the {what} are missing")
    return [_struct(one, what) for one in value]
