"""What benchmarks share: folders, the data, and processes that start once and end with the run."""

from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from examples.airline.processes import Mesh
from tests.bench.lineitem import generated
from tests.bench.reading import ungoverned_server
from tests.bench.sales import Sales, start_sales


@dataclass(slots=True)
class Surroundings:
    """`folder` is empty and on a real disk; what is started ends when `stack` is closed."""

    cache: Path
    folder: Path
    rounds: int
    stack: ExitStack
    _sales: Sales | None = field(default=None)
    _ungoverned: str = ""

    @property
    def lineitem(self) -> Path:
        """TPC-H's lineitem at scale 1."""
        return generated(self.cache) / "lineitem.parquet"

    @property
    def sales(self) -> Sales:
        """The mesh over it."""
        if self._sales is None:
            folder = self.folder / "sales"
            folder.mkdir()
            mesh = self.stack.enter_context(Mesh(folder))
            self._sales = start_sales(mesh, self.lineitem.parent)
        return self._sales

    @property
    def ungoverned(self) -> str:
        """The address of the minimal Flight SQL server over it."""
        if not self._ungoverned:
            server = ungoverned_server(self.lineitem, self.folder / "ungoverned.log")
            self._ungoverned = self.stack.enter_context(server)
        return self._ungoverned
