"""Tables that fit: what has no room beside goes below its row; in a pipe nothing is cut."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from cli.environment import Terminal

GAP = 2
_SPEAKING = frozenset({"title", "description", "summary", "message", "means", "because"})
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
    "✓ passed": "green",
    "✗ failed": "red",
    "– not run": "yellow",
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
                below.append(", " if below else "").append(_named(title, value))
        if below:
            _wrapped(console, below, terminal.width, indent + GAP)


def print_line(parts: Sequence[tuple[str, str]], leading: int, terminal: Terminal) -> None:
    """One record of many to come: the leading values first, the others with their titles."""
    console = _console(terminal)
    head = Text("  ").join([_styled(value) for _, value in parts[:leading]])
    named = [_named(name, value) for name, value in parts[leading:] if value != "-"]
    rest = Text(", ").join(named)
    if head.cell_len + GAP + rest.cell_len <= terminal.width:
        console.print(Text("  ").join([head, rest]), soft_wrap=True)
        return
    console.print(head, soft_wrap=True)
    _wrapped(console, rest, terminal.width, GAP)


def print_fields(fields: Sequence[tuple[str, str]], terminal: Terminal, indent: int = 0) -> None:
    """Names and values, one below the other; long values wrap beside their name."""
    console = _console(terminal)
    label = max((cell_len(name) for name, _ in fields), default=0)
    start = indent + (label + GAP if label else 0)
    for name, value in fields:
        head = Text(" " * indent + (name.ljust(label) + " " * GAP if label else ""), "bold")
        room = max(terminal.width - start, 20)
        if " " not in value and cell_len(value) > room:
            # What is one word, such as a digest, is copied: it gets a line of its own, unbroken.
            head.rstrip()
            console.print(head, soft_wrap=True)
            console.print(Text(" " * (indent + GAP) + value), soft_wrap=True)
            continue
        for index, line in enumerate(_styled(value).wrap(console, room) or [Text()]):
            line.rstrip()
            console.print(Text.assemble(head if index == 0 else " " * start, line), soft_wrap=True)


def print_heading(heading: str, terminal: Terminal, indent: int = 0) -> None:
    """An empty line and a title."""
    console = _console(terminal)
    console.print()
    console.print(Text(" " * indent + heading, "bold"), soft_wrap=True)


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


def _named(title: str, value: str) -> Text:
    """A value with its title, unless it speaks for itself."""
    return Text(value) if title in _SPEAKING else Text.assemble((f"{title} ", "dim"), value)


def _styled(value: str) -> Text:
    return Text(value, _STYLES.get(value, ""))
