"""An agent that decides with a real OPA server says the same, and refuses when it is gone."""

from pathlib import Path

import pytest

from examples.airline.processes import CONTRACTS, DATA, Mesh
from examples.airline.reader import Reader
from tests.differential.opa_server import running_opa
from tests.e2e.town import PASSENGERS, PURPOSE, start_town

FIRST = "SELECT country, name, email FROM reservations.passengers ORDER BY email, country LIMIT 50"


@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_a_real_opa_decides_like_the_embedded_engine(
    own_mesh: Mesh, tmp_path: Path, over: str
) -> None:
    town = start_town(own_mesh, ("bookings",))
    embedded = town.reader().read(FIRST)
    token = town.reader().token
    own_mesh.agents.pop("bookings").stop()
    with running_opa(tmp_path / "s" if over == "unix" else None) as opa:
        own_mesh.start_agent(
            "bookings",
            DATA / "bookings",
            CONTRACTS / "bookings",
            settings={"engine": {"kind": "opa", "url": opa.url}},
        )
        reader = Reader(own_mesh.agents["bookings"].ready, token, PURPOSE)
        assert reader.read(FIRST) == embedded
        assert "marketing" in Reader(reader.uri, token, "marketing").refusal(PASSENGERS)
    undecided = Reader(reader.uri, token, "delay-analysis").refusal(PASSENGERS)
    assert "policy.error" in undecided
