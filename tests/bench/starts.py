"""How long the parts take to start: the control plane, and an agent that is on its own."""

import time
from collections.abc import Callable

from adbc_driver_manager import Error

from examples.airline.processes import Mesh
from tests.bench.lineitem import DOMAIN, MASKED
from tests.bench.measuring import Figure, Section, Spread, Target
from tests.bench.reading import over_adbc
from tests.bench.sales import Sales, connect, until
from tests.bench.surroundings import Surroundings

_SECONDS = Target(2.0)
_ONE = f"SELECT l_orderkey FROM {MASKED.name}.lineitem LIMIT 1"


def starts(given: Surroundings) -> list[Section]:
    """From the spawn to the line that says it listens, or to the first governed row."""
    fresh: list[float] = []
    again: list[float] = []
    for number in range(given.rounds + 1):
        folder = given.folder / f"control-plane-{number}"
        folder.mkdir()
        for times in (fresh, again):
            with Mesh(folder) as mesh:
                times.append(_seconds(mesh.start_control_plane))
    alone = _alone(given.sales, given.rounds + 1)
    return [
        Section(
            "Start",
            [
                Figure("control plane, first start", Spread.of(fresh[1:]), "s", _SECONDS),
                Figure("control plane, with its state", Spread.of(again[1:]), "s", _SECONDS),
                Figure("agent alone, to a governed read", Spread.of(alone[1:]), "s", _SECONDS),
            ],
            "The agent starts from its last known good snapshot while the control plane is down; "
            "its time ends when a client has read a governed row.",
        )
    ]


def _alone(sales: Sales, times: int) -> list[float]:
    mesh = sales.mesh
    assert mesh.control is not None
    listened = mesh.server
    mesh.control.stop()
    try:
        found = []
        for _ in range(times):
            mesh.agents.pop(DOMAIN).stop()
            found.append(_seconds(lambda: _start_and_read(sales)))
    finally:
        mesh.start_control_plane(listened)
    return found


def _start_and_read(sales: Sales) -> None:
    sales.start_agent()
    until(lambda: _readable(sales), "a governed row")


def _readable(sales: Sales) -> bool:
    try:
        with connect(sales.uri, sales.token) as connection:
            return over_adbc(connection, _ONE).rows == 1
    except Error:
        return False


def _seconds(start: Callable[[], None]) -> float:
    began = time.perf_counter()
    start()
    return time.perf_counter() - began
