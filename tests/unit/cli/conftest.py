from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.cli.services import ControlPlane, serving
from tests.unit.cli.terminal import Clock, Run, runner


@pytest.fixture
def control() -> Iterator[ControlPlane]:
    with serving() as plane:
        yield plane


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def run(control: ControlPlane, tmp_path: Path, clock: Clock) -> Run:
    """`mesh` with the control plane and a token in its variables."""
    variables = {"MESH_SERVER": control.address, "MESH_TOKEN": "a.control.token"}
    return runner(tmp_path, variables, clock)


@pytest.fixture
def bare(tmp_path: Path, clock: Clock) -> Run:
    """`mesh` that knows no server and no token."""
    return runner(tmp_path, {}, clock)
