"""Random ways to tamper with an export's lines."""

import random
from collections.abc import Callable, Sequence
from io import BytesIO

Lines = list[bytes]


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
