"""What a purpose is, and which may be registered."""

from dataclasses import dataclass
from datetime import datetime

from mesh.errors import PurposeTaken, RequestInvalid
from mesh.names import HYPHENATED_RULE, is_hyphenated

MAX_TITLE_CHARS = 200


@dataclass(frozen=True, slots=True)
class Purpose:
    """A registered reason for processing data."""

    id: str
    title: str
    creator: str
    created: datetime
    revision: int


def check_new(purpose_id: str, title: str, known: Purpose | None) -> None:
    """Refuse a malformed purpose, or another title for a known one.

    Raises RequestInvalid or PurposeTaken.
    """
    if not is_hyphenated(purpose_id):
        raise RequestInvalid(f"a purpose's id is {HYPHENATED_RULE}: {purpose_id!r}", field="id")
    if not 1 <= len(title.strip()) <= MAX_TITLE_CHARS or not title.isprintable():
        raise RequestInvalid(
            f"a purpose's title is one line of 1 to {MAX_TITLE_CHARS} characters", field="title"
        )
    if known is not None and known.title != title:
        raise PurposeTaken(
            f"purpose {purpose_id} is registered as {known.title!r}; choose another id",
            purpose=purpose_id,
        )
