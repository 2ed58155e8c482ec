"""Reading one object of the syntax tree: every field must be asked for, or nothing passes."""

from collections.abc import Iterator
from contextlib import contextmanager

from mesh.errors import StatementNotAllowed, StatementTooLong

MAX_TEXT = 65_536
MAX_ITEMS = 20_000
_LOCATION = frozenset({"query_location", "query_location_length"})


class Fields:
    """The fields of one object; what is read is checked, what is not read refuses."""

    __slots__ = ("_raw", "_unread", "what")

    def __init__(self, raw: object, what: str) -> None:
        if type(raw) is not dict:
            raise refused(what)
        self._raw: dict[str, object] = raw
        self._unread = set(raw) - _LOCATION
        self.what = what

    def value(self, key: str) -> object:
        """The field as it is, for a caller that checks it."""
        if key not in self._raw:
            raise refused(self.what)
        self._unread.discard(key)
        return self._raw[key]

    def text(self, key: str) -> str:
        """The field, which must be text."""
        return checked_text(self.value(key), self.what)

    def flag(self, key: str) -> bool:
        """The field, which must be true or false."""
        value = self.value(key)
        if type(value) is not bool:
            raise refused(self.what)
        return value

    def items(self, key: str) -> list[object]:
        """The field, which must be a list."""
        value = self.value(key)
        if type(value) is not list:
            raise refused(self.what)
        if len(value) > MAX_ITEMS:
            raise StatementTooLong(
                f"A list of the statement has more than {MAX_ITEMS:,} parts. Write a shorter one."
            )
        return value

    def texts(self, key: str) -> list[str]:
        """The field, which must be a list of texts."""
        return [checked_text(item, self.what) for item in self.items(key)]

    def one_of(self, key: str, allowed: frozenset[str]) -> str:
        """The field, which must be one of the allowed words."""
        value = self.text(key)
        if value not in allowed:
            raise refused(f"{self.what} ({_word(value)})")
        return value

    def only(self, key: str, expected: object, why: str = "") -> None:
        """Refuse unless the field has exactly the expected value."""
        value = self.value(key)
        if type(value) is not type(expected) or value != expected:
            raise refused(why or self.what)

    def close(self) -> None:
        """Refuse a field that nobody asked for."""
        if self._unread:
            raise refused(self.what)


@contextmanager
def opened(raw: object, what: str) -> Iterator[Fields]:
    """The fields of an object that has no others than those read inside the block."""
    fields = Fields(raw, what)
    yield fields
    fields.close()


def checked_text(value: object, what: str) -> str:
    """Text that can be quoted safely."""
    if type(value) is not str or len(value) > MAX_TEXT or "\0" in value:
        raise refused(what)
    return value


def refused(what: str) -> StatementNotAllowed:
    """The refusal of a construct; `what` speaks of SQL, never of values."""
    return StatementNotAllowed(
        f"{what} is not served here, or not in this form. docs/sql.md lists what a SELECT may use."
    )


def _word(value: str) -> str:
    """A tree's own word, short and harmless enough to show."""
    return value.replace("_", " ").lower() if value.isascii() and len(value) <= 40 else "unknown"
