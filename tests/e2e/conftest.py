"""A mesh of real processes on the airline's data: one for all tests that leave it as it was."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.airline.processes import Mesh
from tests.e2e.town import Town, start_town


@pytest.fixture(scope="session")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    """A control plane and the agents of bookings and fleet; ana may read both."""
    with Mesh(tmp_path_factory.mktemp("town")) as mesh:
        yield start_town(mesh)


@pytest.fixture
def own_mesh(tmp_path: Path) -> Iterator[Mesh]:
    """A mesh for one test, to stop, to starve and to break."""
    with Mesh(tmp_path) as mesh:
        yield mesh
