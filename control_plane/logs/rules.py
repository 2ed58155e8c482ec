"""Which records of a log are handed out together, and which of them whole."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from control_plane.audit.rules import Stored
from mesh.errors import RequestInvalid
from mesh.evidence.manifests import Selection
from mesh.names import is_hyphenated, is_name

PIECE_RECORDS = 512
PIECE_BYTES = 512 * 1024


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stretch of a log, and which of its records are wanted whole; `until` 0 means all."""

    domain: str
    agent: str
    after: int
    until: int
    selection: Selection


@dataclass(frozen=True, slots=True)
class Piece:
    """Consecutive records up to `last`, of which some are whole."""

    last: int
    whole: tuple[int, ...]


def check_selection(selection: Selection) -> None:
    """Refuse what can select nothing. Raises RequestInvalid."""
    if selection.domain is not None and not is_name(selection.domain):
        raise RequestInvalid("`domain` can't name a domain", field="selection.domain")
    if selection.agent is not None and not is_hyphenated(selection.agent):
        raise RequestInvalid("`agent` can't name an agent", field="selection.agent")
    if selection.since and selection.before and selection.since >= selection.before:
        raise RequestInvalid("`since` is not before `before`", field="selection.since")


def check_wanted(wanted: Wanted) -> None:
    """Refuse a stretch that no log has. Raises RequestInvalid."""
    check_selection(wanted.selection)
    if wanted.after < 0 or wanted.until < 0 or 0 < wanted.until < wanted.after:
        raise RequestInvalid(
            "`after` and `until` are sequences in this order, from 0 on", field="after"
        )


def next_piece(wanted: Wanted, after: int, until: int, stored: Mapping[int, Stored]) -> Piece:
    """The next records that go into one message, at least one.

    One that should be stored and is not counts as whole, so that its absence shows.
    """
    whole: list[int] = []
    size, last = 0, after
    for sequence in range(after + 1, min(after + PIECE_RECORDS, until) + 1):
        found = stored.get(sequence)
        if found is None or _selected(wanted.selection, found.time):
            size += 0 if found is None else found.size
            if whole and size > PIECE_BYTES:
                break
            whole.append(sequence)
        last = sequence
    return Piece(last, tuple(whole))


def _selected(selection: Selection, time: datetime) -> bool:
    since, before = selection.since, selection.before
    return (since is None or time >= since) and (before is None or time < before)
