"""Counts as a table whose last column is a bar, where a terminal has room for one."""

from collections.abc import Mapping, Sequence
from itertools import chain

from rich.cells import cell_len

from cli.environment import Terminal
from cli.grid import GAP, Grid, print_grid
from cli.text import plain

LEAST_BAR, WIDEST_BAR = 6, 40
_EIGHTHS = " ▏▎▍▌▋▊▉"


def print_bars(
    records: Sequence[Mapping[str, object]],
    names: Sequence[str],
    measures: Sequence[str],
    measure: str,
    terminal: Terminal,
) -> None:
    """Names to the left, counts to the right, and a bar for one of the counts."""
    columns = [*names, *measures]
    rows = [[_shown(record[column]) for column in columns] for record in records]
    titles = [column.upper() for column in columns]
    numeric = [False] * len(names) + [True] * len(measures)
    used = sum(
        max(cell_len(cell) for cell in column) + GAP
        for column in zip(*chain([titles], rows), strict=True)
    )
    room = min(terminal.width - used, WIDEST_BAR)
    if terminal.is_terminal and room >= LEAST_BAR:
        counts = [_count(record[measure]) for record in records]
        most = max(counts)
        blocks = _has_blocks(terminal)
        titles, numeric = [*titles, ""], [*numeric, False]
        rows = [
            [*row, bar(count, most, room, blocks=blocks)]
            for row, count in zip(rows, counts, strict=True)
        ]
    print_grid(Grid(titles, numeric, rows), iter(()), terminal)


def bar(count: int, most: int, room: int, *, blocks: bool = True) -> str:
    """A bar as long as its share of the most; what is not nothing is seen."""
    if count <= 0 or most <= 0:
        return ""
    eighths = max(round(count * room * 8 / most), 1)
    if not blocks:
        return "#" * max(eighths // 8, 1)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def _has_blocks(terminal: Terminal) -> bool:
    return (terminal.stream.encoding or "").lower().startswith("utf")


def _shown(value: object) -> str:
    if isinstance(value, int):
        return f"{value:,}"
    return plain(str(value)) if value else "-"


def _count(value: object) -> int:
    return value if isinstance(value, int) else 0
