"""The frame of the fault tests: how much is tried, and whose row it becomes.

`make test-faults` sets FAULTS=full; without it a smoke's worth is tried and nothing is written.
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from tests.faults.tally import PAGE, SCALE, Row, Scale, Trial, write

PROPERTY = "fault"


@pytest.fixture(scope="session")
def scale() -> Scale:
    """How much this run tries."""
    return SCALE


@pytest.fixture
def trial(request: pytest.FixtureRequest) -> Iterator[Callable[[str, str], Trial]]:
    """Opens the test's row: `trial("R2", "what is tried")`."""
    opened: list[Trial] = []

    def open_row(fault: str, what: str) -> Trial:
        opened.append(Trial(fault, what))
        return opened[-1]

    yield open_row
    request.node.user_properties.extend((PROPERTY, one.dumped()) for one in opened)


class TableWriter:
    """Gathers what every test of the run counted, and writes it at the end."""

    def __init__(self) -> None:
        self._run = _run()
        self._rows: dict[str, Row] = {}
        self._outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A failed call makes its rows broken; what it counted comes with the teardown."""
        if report.when == "call":
            failed = report.failed or hasattr(report, "wasxfail")
            reason = getattr(report, "wasxfail", "") or report.nodeid.rpartition("::")[2]
            self._outcomes[report.nodeid] = reason if failed else ""
        if report.when != "teardown":
            return
        for name, value in report.user_properties:
            if name == PROPERTY:
                share = json.loads(str(value))
                row = self._rows.setdefault(share["id"], Row(share["id"], share["fault"]))
                row.add(share, self._outcomes.get(report.nodeid, "not run"))

    def pytest_sessionfinish(self) -> None:
        """All is counted."""
        if self._rows:
            write(self._rows.values(), self._run)

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Show the rows where the run is watched."""
        terminalreporter.section(f"rows of {PAGE.name}")
        for row in self._rows.values():
            terminalreporter.write_line(row.written(""))


def pytest_configure(config: pytest.Config) -> None:
    """One process of a run writes: with xdist the one that holds the others."""
    if SCALE.full and not hasattr(config, "workerinput"):
        config.pluginmanager.register(TableWriter())


def _run() -> str:
    revision = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return f"{datetime.now(UTC):%Y-%m-%d} {revision}".strip()
