"""Random ways to tamper with an export, and what must be found of each."""

import random
from collections import Counter
from collections.abc import Callable, Sequence
from io import BytesIO

from mesh.evidence.codec import decode_event
from mesh.evidence.envelopes import is_envelope
from mesh.evidence.exports import verify_export
from mesh.evidence.manifests import Selection, read_leaves, read_manifest
from mesh.evidence.verifying import Wrong
from tests.unit.evidence.logs import BASE, Shape, export, log

Lines = list[bytes]
BOOKINGS = log("bookings/bookings-1", 12)
FLEET = log("fleet/fleet-1", 9, seed=8)
LINES = export([BOOKINGS, FLEET], Shape(piece=5, sizes=(4, 10)))


def bit_flip(lines: Lines, rng: random.Random) -> Lines:
    """Any bit of any line, its end too."""
    at = rng.randrange(len(lines))
    line = bytearray(lines[at])
    line[rng.randrange(len(line))] ^= 1 << rng.randrange(8)
    return _again([*lines[:at], bytes(line), *lines[at + 1 :]])


def delete(lines: Lines, rng: random.Random) -> Lines:
    at = rng.randrange(len(lines))
    stop = at + rng.choice((1, 1, 1, rng.randint(1, 6)))
    return [*lines[:at], *lines[stop:]]


def reorder(lines: Lines, rng: random.Random) -> Lines:
    one, two = sorted(rng.sample(range(len(lines)), 2))
    swapped = list(lines)
    swapped[one], swapped[two] = swapped[two], swapped[one]
    return swapped


def move(lines: Lines, rng: random.Random) -> Lines:
    moved = list(lines)
    line = moved.pop(rng.randrange(len(moved)))
    moved.insert(rng.randrange(len(moved) + 1), line)
    return moved


def truncate(lines: Lines, rng: random.Random) -> Lines:
    return lines[: rng.randrange(len(lines))]


def cut_in_a_line(lines: Lines, rng: random.Random) -> Lines:
    at = rng.randrange(len(lines))
    return [*lines[:at], lines[at][: rng.randrange(len(lines[at]))]]


def duplicate(lines: Lines, rng: random.Random) -> Lines:
    at, to = rng.randrange(len(lines)), rng.randrange(len(lines) + 1)
    return [*lines[:to], lines[at], *lines[to:]]


def swap_agents(lines: Lines, rng: random.Random) -> Lines:
    """Every place that names one agent names the other, from some line on."""
    at = rng.randrange(len(lines))
    one, two, other = b"bookings/bookings-1", b"fleet/fleet-1", b"\x00"
    return [
        *lines[:at],
        *(line.replace(one, other).replace(two, one).replace(other, two) for line in lines[at:]),
    ]


def edit_digits(lines: Lines, rng: random.Random) -> Lines:
    """A number somewhere is another one, and the record still is JSON."""
    at = rng.randrange(1, len(lines))
    line = bytearray(lines[at])
    places = [place for place, byte in enumerate(line) if 48 <= byte <= 57]
    place = rng.choice(places)
    line[place] = rng.choice([digit for digit in range(48, 58) if digit != line[place]])
    return [*lines[:at], bytes(line), *lines[at + 1 :]]


def insert(lines: Lines, rng: random.Random) -> Lines:
    at = rng.randrange(len(lines) + 1)
    made = rng.choice((b"\n", b"{}\n", b'{"data":{}}\n', rng.randbytes(20) + b"\n"))
    return [*lines[:at], *_again([made]), *lines[at:]]


KINDS: Sequence[Callable[[Lines, random.Random], Lines]] = (
    bit_flip,
    delete,
    reorder,
    move,
    truncate,
    cut_in_a_line,
    duplicate,
    swap_agents,
    edit_digits,
    insert,
)


def splice(lines: Lines, others: Lines, rng: random.Random) -> Lines:
    """Some lines are those of another export of the same logs."""
    start = rng.randrange(len(lines))
    stop = rng.randint(start + 1, len(lines))
    return [*lines[:start], *others[start:stop], *lines[stop:]]


def first_difference(old: Lines, new: Lines) -> int | None:
    """The index of the first line that is another one, or is none; None when all are the same."""
    for at in range(max(len(old), len(new))):
        if old[at : at + 1] != new[at : at + 1]:
            return at
    return None


def _again(lines: Lines) -> Lines:
    """The lines as a file would have them."""
    return [*BytesIO(b"".join(lines))]


def item(lines: list[bytes], at: int) -> tuple[str, int] | None:
    """What stands in a line: the record, or the first one whose hashes the line has."""
    if at == 0 or at >= len(lines):
        return None
    manifest = read_manifest(lines[0][:-1])
    if is_envelope(lines[at]):
        leaves = read_leaves(lines[at][:-1], manifest.key)
        return f"{leaves.domain}/{leaves.agent}", leaves.first
    found = decode_event(lines[at])
    return found.source.removeprefix("/agents/"), found.sequence


def check_told(lines: list[bytes], changed: list[bytes]) -> bool:
    """Assert that a change is told and named rightly; whether there is a change."""
    at = first_difference(lines, changed)
    if at is None:
        return False
    found = verify_export(changed).first
    assert found is not None
    expected = item(lines, at)
    if expected is not None:
        assert (found.log, found.first, found.last) == (*expected, expected[1])
    elif at == 0:
        assert (found.wrong, found.line) == (Wrong.MANIFEST, 1)
    else:
        assert found.wrong is Wrong.EXTRA
    if found.line is not None:
        assert found.line == at + 1
    return True


def tamper(count: int, seed: int) -> Counter[str]:
    """Try so many changes; how many of each kind were told and named rightly."""
    rng = random.Random(seed)  # noqa: S311 - a seeded series
    exports = [
        LINES,
        export(
            [BOOKINGS, FLEET],
            Shape(piece=4, after=4, whole_from=6, sizes=(6, 9)),
            selection=Selection(since=BASE),
        ),
        export([FLEET], Shape(piece=300)),
    ]
    other = export([BOOKINGS, FLEET], Shape(piece=5, whole_from=3), selection=Selection(since=BASE))
    tried: Counter[str] = Counter()
    while tried.total() < count:
        if rng.randrange(len(KINDS) + 1) == 0:
            name, changed = "splice", splice(LINES, other, rng)
            # Whose manifest it has is whose export it claims to be.
            lines = other if changed[:1] == other[:1] else LINES
        else:
            lines, kind = rng.choice(exports), rng.choice(KINDS)
            name, changed = kind.__name__, kind(lines, rng)
        tried[name] += check_told(lines, changed)
    return tried
