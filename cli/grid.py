"""Rows of data as a table that fits the terminal; in a pipe nothing is cut."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import click
from rich.cells import cell_len, set_cell_size

from cli.environment import Terminal

GAP = 2
LEAST_WIDTH = 8


@dataclass(frozen=True, slots=True)
class Grid:
    """Titles, which columns are numbers, and the rows that set the widths."""

    titles: Sequence[str]
    numeric: Sequence[bool]
    rows: Sequence[Sequence[str]]


def print_grid(grid: Grid, following: Iterator[Sequence[str]], terminal: Terminal) -> int:
    """Print the rows and those that follow; how many followed."""
    widths = _fitted(grid, terminal.width)
    if widths is None:
        _print_stacked(grid, terminal)
        return 0
    stream = terminal.stream
    heading = _line(grid.titles, widths, grid.numeric)
    stream.write(click.style(heading, bold=True) if terminal.colour else heading)
    stream.write("\n")
    for row in grid.rows:
        stream.write(_line(row, widths, grid.numeric) + "\n")
    followed = 0
    for row in following:
        stream.write(_line(row, widths, grid.numeric, cut=terminal.is_terminal) + "\n")
        followed += 1
    return followed


def _fitted(grid: Grid, room: int) -> list[int] | None:
    """The width of each column, the widest ones cut until all fit; None when they never do."""
    widths = [
        max([cell_len(title), *(cell_len(row[index]) for row in grid.rows)])
        for index, title in enumerate(grid.titles)
    ]
    while sum(widths) + GAP * (len(widths) - 1) > room:
        widest = max(range(len(widths)), key=lambda index: widths[index])
        if widths[widest] <= LEAST_WIDTH:
            return None
        widths[widest] -= 1
    return widths


def _line(
    row: Sequence[str], widths: Sequence[int], numeric: Sequence[bool], *, cut: bool = True
) -> str:
    cells = []
    for value, width, right in zip(row, widths, numeric, strict=True):
        free = width - cell_len(value)
        if free < 0 and cut:
            cells.append(set_cell_size(value, width - 1) + "…")
        else:
            cells.append(" " * max(free, 0) + value if right else value + " " * max(free, 0))
    return (" " * GAP).join(cells).rstrip()


def _print_stacked(grid: Grid, terminal: Terminal) -> None:
    """One field a line, for rows with more columns than the terminal holds."""
    label = max(cell_len(title) for title in grid.titles)
    for number, row in enumerate(grid.rows, start=1):
        terminal.stream.write(f"row {number}\n")
        for title, value in zip(grid.titles, row, strict=True):
            room = terminal.width - label - 2 * GAP
            shown = value if cell_len(value) <= room else set_cell_size(value, room - 1) + "…"
            padding = " " * (label - cell_len(title) + GAP)
            terminal.stream.write(f"{'':{GAP}}{title}{padding}{shown}\n")
