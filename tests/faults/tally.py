"""What was tried and what came of it: a fault's row in docs/reliability.md.

Whoever tries a fault asks the fixture `trial` for its row, counts into it, and asserts. With
FAULTS=full the counts of all tests of a run become the page's rows; the rows of other faults stay.
"""

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

PAGE = Path(__file__).parents[2] / "docs" / "reliability.md"
MARKER = "<!-- The rows below are written by `make test-faults`. -->"
HEAD = "| id | fault | tried | outcome | counted and measured | run |\n|---|---|---:|---|---|---|"
_ROW = re.compile(r"^\| ([RS][0-9]+[a-z]?) \|.*\|$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is tried: all of the catalogue, or a smoke's worth."""

    full: bool

    def of(self, full: int, smoke: int) -> int:
        """A size, as this run takes it."""
        return full if self.full else smoke


SCALE = Scale(os.environ.get("FAULTS") == "full")


@dataclass(slots=True)
class Trial:
    """One test's share of a fault's row: how often it was tried, what was counted and measured."""

    id: str
    fault: str
    tried: int = 0
    counts: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)

    def count(self, what: str, more: int = 1) -> None:
        """Add to what the row counts; zeros are worth a word too."""
        self.counts[what] = self.counts.get(what, 0) + more

    def took(self, what: str, seconds: float) -> None:
        """Add a measurement; the row shows the median and the longest."""
        self.seconds.setdefault(what, []).append(seconds)

    def dumped(self) -> str:
        """As text, to cross from the process that tried to the one that writes."""
        return json.dumps(asdict(self))


@dataclass(slots=True)
class Row:
    """A fault's row, from the trials of all its tests."""

    id: str
    fault: str
    tried: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    seconds: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    broken: list[str] = field(default_factory=list)

    def add(self, trial: Mapping[str, object], outcome: str) -> None:
        """Take what `Trial.dumped` said; `outcome` is empty when the test passed."""
        share = Trial(**trial)  # type: ignore[arg-type]
        self.tried += share.tried
        self.counts.update(share.counts)
        for what, seconds in share.seconds.items():
            self.seconds[what] += seconds
        if outcome:
            self.broken.append(outcome)

    def written(self, run: str) -> str:
        """The row in Markdown."""
        outcome = "held" if not self.broken else f"**broken**: {'; '.join(self.broken)}"
        measured = [f"{number:,} {what}" for what, number in self.counts.items()]
        for what, seconds in self.seconds.items():
            measured.append(
                f"{what}: median {median(seconds):.2f} s, longest {max(seconds):.2f} s"
                f" of {len(seconds):,}"
            )
        cells = (self.id, self.fault, f"{self.tried:,}", outcome, "; ".join(measured), run)
        return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def write(rows: Iterable[Row], run: str, page: Path = PAGE) -> None:
    """Put rows into the page's table, in the place of those with the same id."""
    prose, _, table = page.read_text(encoding="utf-8").partition(MARKER)
    kept = {found.group(1): found.group(0) for found in _ROW.finditer(table)}
    kept.update({row.id: row.written(run) for row in rows})
    body = "\n".join(kept[fault] for fault in sorted(kept, key=_place))
    page.write_text(f"{prose}{MARKER}\n\n{HEAD}\n{body}\n", encoding="utf-8")


def _place(fault: str) -> tuple[str, int, str]:
    return fault[0], int(re.sub(r"\D", "", fault)), fault
