"""Tables that fit: what has no room beside goes below its row; in a pipe nothing is cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cli.environment import Terminal

GAP = 2
_STYLES = {
    "active": "green",
    "published": "green",
    "completed": "green",
    "read.completed": "green",
    "requested": "yellow",
    "started": "yellow",
    "read.started": "yellow",
    "deprecated": "yellow",
    "aborted": "yellow",
    "read.aborted": "yellow",
    "expired": "red",
    "revoked": "red",
    "rejected": "red",
    "refused": "red",
    "read.refused": "red",
    "restricted": "red",
    "confidential": "yellow",
}


@dataclass(frozen=True, slots=True)
class Sheet:
    """Titles and rows of text, ready to lay out."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]


def print_table(sheet: Sheet, terminal: Terminal, indent: int = 0) -> None:
    """Columns in line; the last ones go below each row when the terminal is too narrow."""
    widths = [
        max([cell_len(title), *(cell_len(row[index]) for row in sheet.rows)])
        for index, title in enumerate(sheet.titles)
    ]
    kept = _fitting(widths, terminal.width - indent)
    console = _console(terminal)
    _line(console, [Text(t.upper(), "bold") for t in sheet.titles[:kept]], widths, indent)
    for row in sheet.rows:
        _line(console, [_styled(value) for value in row[:kept]], widths, indent)
        below = Text()
        for title, value in zip(sheet.titles[kept:], row[kept:], strict=True):
            if value != "-":
                below.append(", " if below else "").append(f"{title} ", "dim").append(value)
        if below:
            _wrapped(console, below, terminal.width, indent + GAP)


def print_line(parts: Sequence[tuple[str, str]], leading: int, terminal: Terminal) -> None:
    """One record of many to come: the leading values first, the others with their titles."""
    console = _console(terminal)
    line = Text()
    for _, value in parts[:leading]:
        line.append("  " if line else "").append_text(_styled(value))
    named = [(name, value) for name, value in parts[leading:] if value != "-"]
    for index, (name, value) in enumerate(named):
        line.append(", " if index else "  ").append(f"{name} ", "dim").append(value)
    first, *others = line.wrap(console, terminal.width)
    first.rstrip()
    console.print(first, soft_wrap=True)
    rest = Text(" ").join(others)
    if rest:
        _wrapped(console, rest, terminal.width, GAP)


def print_fields(fields: Sequence[tuple[str, str]], terminal: Terminal, indent: int = 0) -> None:
    """Names and values, one below the other; long values wrap beside their name."""
    console = _console(terminal)
    label = max((cell_len(name) for name, _ in fields), default=0)
    start = indent + (label + GAP if label else 0)
    for name, value in fields:
        head = Text(" " * indent + (name.ljust(label) + " " * GAP if label else ""), "bold")
        lines = _styled(value).wrap(console, max(terminal.width - start, 20))
        for index, line in enumerate(lines or [Text()]):
            line.rstrip()
            console.print(Text.assemble(head if index == 0 else " " * start, line), soft_wrap=True)


def print_heading(heading: str, terminal: Terminal, indent: int = 0) -> None:
    """An empty line and a title."""
    console = _console(terminal)
    console.print()
    console.print(Text(" " * indent + heading, "bold"), soft_wrap=True)


def print_wrapped(text: str, terminal: Terminal, indent: int = 0) -> None:
    """A sentence, wrapped to the terminal."""
    _wrapped(_console(terminal), Text(text), terminal.width, indent)


def _console(terminal: Terminal) -> Console:
    return Console(
        file=terminal.stream,
        width=terminal.width,
        force_terminal=terminal.colour,
        no_color=not terminal.colour,
        color_system="standard" if terminal.colour else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _fitting(widths: Sequence[int], room: int) -> int:
    """How many columns fit side by side; at least one."""
    used = 0
    for index, width in enumerate(widths):
        used += width + (GAP if index else 0)
        if used > room:
            return max(index, 1)
    return len(widths)


def _line(console: Console, cells: Sequence[Text], widths: Sequence[int], indent: int) -> None:
    line = Text(" " * indent)
    for index, part in enumerate(cells):
        last = index == len(cells) - 1
        line.append_text(part)
        if not last:
            line.append(" " * (widths[index] - part.cell_len + GAP))
    line.rstrip()
    console.print(line, soft_wrap=True)


def _wrapped(console: Console, text: Text, width: int, indent: int) -> None:
    for line in text.wrap(console, max(width - indent, 20)):
        line.rstrip()
        console.print(Text.assemble(" " * indent, line), soft_wrap=True)


def _styled(value: str) -> Text:
    return Text(value, _STYLES.get(value, ""))
