"""Results as a table of 80 columns for the terminal, and as the page's second half."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.bench.measuring import Figure, Section, Spread

MARKER = "<!-- Everything below is written by `make bench`. -->"
_WHAT, _MEASURED, _TARGET = 40, 22, 9


def lines(section: Section) -> Iterator[str]:
    """The section for a terminal."""
    yield ""
    yield section.title
    for figure in section.figures:
        low_high = f"({_number(figure.measured.low)}–{_number(figure.measured.high)})"
        measured = f"{_number(figure.measured.median)} {figure.unit}".strip()
        yield (
            f"  {figure.what:<{_WHAT}}{measured:>13} {low_high:<15}"
            f"{_target(figure):>3} {_verdict(figure)}"
        ).rstrip()


def write(page: Path, sections: Sequence[Section], facts: Sequence[tuple[str, str]]) -> None:
    """Replace the page's results and keep what people wrote above them."""
    written = page.read_text(encoding="utf-8").partition(MARKER)[0]
    page.write_text(f"{written}{MARKER}\n\n{_markdown(sections, facts)}", encoding="utf-8")


def _markdown(sections: Sequence[Section], facts: Sequence[tuple[str, str]]) -> str:
    parts = ["## Results\n", "\n".join(f"- {name}: {value}" for name, value in facts) + "\n"]
    for section in sections:
        parts.append(f"### {section.title}\n")
        rows = ["| | median | lowest–highest | target | |", "|---|---:|---:|---:|---|"]
        rows += [_row(figure) for figure in section.figures]
        parts.append("\n".join(rows) + "\n")
        if section.note:
            parts.append(section.note + "\n")
    return "\n".join(parts)


def _row(figure: Figure) -> str:
    spread: Spread = figure.measured
    verdict = _verdict(figure)
    return (
        f"| {figure.what} | {_number(spread.median)} {figure.unit}".rstrip()
        + f" | {_number(spread.low)}–{_number(spread.high)} | {_target(figure)}"
        + f" | {f'**{verdict}**' if verdict == 'short' else verdict} |"
    )


def _target(figure: Figure) -> str:
    if figure.target is None:
        return ""
    sign = "≤" if figure.target.at_most else "≥"
    return f"{sign} {figure.target.value:g}"


def _verdict(figure: Figure) -> str:
    if figure.target is None:
        return ""
    return "met" if figure.target.met(figure.measured) else "short"


def _number(value: float) -> str:
    """Three digits that count, and no more than a reader needs."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
