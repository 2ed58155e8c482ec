"""Readers who hold what they can leave room for one who holds nothing."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic

from examples.airline.processes import Mesh
from examples.airline.reader import Reader
from tests.e2e.town import PASSENGERS, agree, reader, start_town

SLOW_READER = Path(__file__).with_name("slow_reader.py")


@contextmanager
def slowly(asks: Reader) -> Iterator[bool]:
    """Somebody who reads one batch and then waits; whether they were let in."""
    with subprocess.Popen(
        [sys.executable, str(SLOW_READER), asks.uri, asks.token, asks.purpose],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert client.stderr is not None
        try:
            began = client.stdout.readline() == "began\n"
            assert began or "agent.overloaded" in client.stderr.read()
            yield began
        finally:
            client.kill()


def test_two_slow_readers_leave_a_worker_to_a_third(own_mesh: Mesh) -> None:
    town = start_town(own_mesh, ("bookings",))
    ben, eve = own_mesh.token("ben"), own_mesh.token("eve")
    for person in (ben, eve):
        agree(own_mesh, person, town.olga)
    readers = [reader(own_mesh, token, "bookings") for token in (town.ana, ben)]
    third = reader(own_mesh, eve, "bookings")
    with ExitStack() as stack:
        began = [[stack.enter_context(slowly(asks)) for _ in range(3)] for asks in readers]
        assert began == [[True, True, False], [True, False, False]]
        for _ in range(5):
            start = monotonic()
            assert third.read(f"{PASSENGERS} LIMIT 1").num_rows == 1
            assert monotonic() - start < 4
