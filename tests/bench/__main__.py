"""Run the benchmarks, all or those named: `python -m tests.bench [--rounds N] [NAME ...]`."""

import argparse
import sys
import tempfile
import textwrap
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from examples.airline.processes import ROOT, terminated_like_interrupted
from tests.bench import report
from tests.bench.decisions import decisions
from tests.bench.evidence import evidence
from tests.bench.losses import losses
from tests.bench.machine import facts
from tests.bench.measuring import Section
from tests.bench.points import points
from tests.bench.pseudonyms import pseudonyms
from tests.bench.recorded import recorded
from tests.bench.scans import scans
from tests.bench.starts import starts
from tests.bench.surroundings import Surroundings
from tests.bench.topics import topics
from tests.bench.windows import windows

PAGE = ROOT / "docs" / "benchmarks.md"
CACHE = ROOT / ".cache"
BENCHMARKS: Mapping[str, Callable[[Surroundings], Sequence[Section]]] = {
    "decisions": decisions,
    "scans": scans,
    "points": points,
    "pseudonyms": pseudonyms,
    "starts": starts,
    "evidence": evidence,
    "recorded": recorded,
    "windows": windows,
    "topics": topics,
    "losses": losses,
}
FEWEST_ROUNDS = 5


def main(arguments: Sequence[str]) -> None:
    """Print the figures; a whole run also replaces the page's. Interrupted, it exits with 130."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--rounds", type=int, default=FEWEST_ROUNDS, help="at least 1; default 5")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.names) - BENCHMARKS.keys())
    if unknown or given.rounds < 1:
        parser.error(f"benchmarks are {', '.join(BENCHMARKS)}; rounds are at least 1")
    names = [name for name in BENCHMARKS if name in given.names or not given.names]
    about = facts(ROOT, datetime.now(UTC), given.rounds)
    for name, value in about:
        print(textwrap.fill(f"{name}: {value}", 80, subsequent_indent="  "))
    try:
        with terminated_like_interrupted():
            sections = run(names, given.rounds)
    except KeyboardInterrupt:
        sys.exit(130)
    if len(names) == len(BENCHMARKS) and given.rounds >= FEWEST_ROUNDS:
        report.write(PAGE, sections, about)
        print(f"\nwritten to {PAGE.relative_to(ROOT)}")


def run(names: Sequence[str], rounds: int) -> list[Section]:
    """The sections of these benchmarks, printed as they come; every process ends with them."""
    found: list[Section] = []
    with (
        # Below the working tree: a temporary folder may be in memory, where syncing costs nothing.
        tempfile.TemporaryDirectory(prefix="bench-", dir=CACHE) as folder,
        ExitStack() as stack,
    ):
        given = Surroundings(CACHE, Path(folder), rounds, stack)
        for name in names:
            for section in BENCHMARKS[name](given):
                print("\n".join(report.lines(section)), flush=True)
                found.append(section)
    return found


if __name__ == "__main__":
    main(sys.argv[1:])
