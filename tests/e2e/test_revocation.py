"""A revocation is awaited, has a deadline, and its revision is what reads can be decided by."""

import json
import signal

from examples.airline.processes import Mesh
from tests.e2e.town import PASSENGERS, PURPOSE, Town, rows, start_town, wait_until

ONE = f"{PASSENGERS} LIMIT 1"


def query(town: Town, *options: str, expect: int = 0) -> str:
    """Ana's read on the command line; what it says on stderr."""
    asked = ("query", ONE, "--domain", "bookings", "--purpose", PURPOSE, *options, "-o", "json")
    return town.mesh.mesh(town.ana, *asked, expect=expect).stderr


def deadlines(town: Town) -> dict[str, dict[str, float]]:
    """What `mesh status` tells of revocations, by classification."""
    status = json.loads(town.mesh.mesh(town.ada, "status", "-o", "json").stdout)
    return {one["classification"]: one for one in status["revocation"]}


def test_once_the_wait_is_over_no_agent_serves_it(own_mesh: Mesh) -> None:
    town = start_town(own_mesh, ("bookings",))
    ana = town.reader()
    assert ana.read(ONE).num_rows == 1
    revoke = ("access", "revoke", town.agreement, "--wait", "-o", "json")
    told = json.loads(own_mesh.mesh(town.olga, *revoke).stdout)
    assert "agreement.revoked" in ana.refusal(ONE)
    (agent,) = told["agents"]
    assert (agent["agent"], agent["enforced"]) == ("bookings/bookings-1", True)
    assert 0 <= told["enforced_after"] == agent["seconds"] < 15
    restricted = deadlines(town)["restricted"]
    assert restricted["slowest"] >= told["enforced_after"]
    assert restricted["lease"] == 300


def test_an_agent_that_does_not_answer_is_named_with_its_deadline(own_mesh: Mesh) -> None:
    town = start_town(own_mesh, ("bookings",))
    own_mesh.agents["bookings"].process.send_signal(signal.SIGSTOP)
    try:
        revoke = ("access", "revoke", town.agreement, "--wait", "--timeout", "1", "-o", "json")
        done = own_mesh.mesh(town.olga, *revoke, expect=9)
    finally:
        own_mesh.agents["bookings"].process.send_signal(signal.SIGCONT)
    error = json.loads(done.stderr.splitlines()[-1])
    assert error["reason"] == "agreement.unenforced"
    told = json.loads(done.stdout)
    (agent,) = told["agents"]
    assert (agent["enforced"], agent["acknowledged"]) == (False, None)
    assert agent["lease_end"] in error["message"]
    (shown,) = rows(own_mesh, town.olga, "access", "list", "--state", "revoked")
    assert shown["id"] == town.agreement


def test_a_read_is_decided_by_the_revision_that_it_names_whoever_it_concerns(
    own_mesh: Mesh,
) -> None:
    town = start_town(own_mesh, ("bookings",))
    status = json.loads(own_mesh.mesh(town.ada, "status", "-o", "json").stdout)
    # Tokens were issued since, which concerns no agent.
    query(town, "--revision", str(status["revision"]))
    refused = query(town, "--revision", "1000000", expect=9)
    error = json.loads(refused.splitlines()[-1])
    assert error["reason"] == "agent.behind"
    assert int(error["metadata"]["revision"]) >= status["revision"]
    revoke = ("access", "revoke", town.agreement, "-o", "json")
    revision = json.loads(own_mesh.mesh(town.olga, *revoke).stdout)["revision"]
    told = query(town, "--revision", str(revision), expect=6)
    assert json.loads(told.splitlines()[-1])["reason"] == "agreement.revoked"
    wait_until(lambda: "revoked" in town.reader().refusal(ONE), "it is enforced for everybody")
