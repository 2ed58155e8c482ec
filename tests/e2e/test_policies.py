"""A policy's way into force over real agents: rehearsed on real reads, stopped, accepted, live."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from examples.airline.processes import CONTRACTS, DATA, Mesh
from tests.e2e.town import PASSENGERS, Town, reader, start_town, wait_until

CAREFUL = """package mesh.organisation

masks contains {"rule": "organisation.contact", "class": class.id, "mask": "drop"} if {
	some class in input.dataset.classes
	class.category == "contact"
}

# METADATA
# title: organisation.purposes
# description: Nobody reads for marketing.
require["organisation.purposes"] if input.purpose != "marketing"
"""
HOLE = CAREFUL.replace('class.category == "contact"', 'class.category == "contacts"')
TEST = """package mesh.organisation_test

import data.mesh.organisation

test_planning if {
	organisation.require["organisation.purposes"] with input.purpose as "crew-planning"
}

test_contact if {
	count(organisation.masks) == 1
		with input.dataset.classes as [{"id": "c0", "category": "contact"}]
}
"""
HOLE_TEST = TEST.replace('"category": "contact"', '"category": "contacts"')


class Security:
    """Two people with the duty, and folders of what they push."""

    def __init__(self, mesh: Mesh, folder: Path) -> None:
        self.mesh, self._folder = mesh, folder
        self.sam, self.sue = (mesh.token(name, duties=["security"]) for name in ("sam", "sue"))

    def push(self, text: str) -> int:
        self._folder.mkdir(exist_ok=True)
        (self._folder / "rules.rego").write_text(text)
        (self._folder / "rules_test.rego").write_text(HOLE_TEST if text == HOLE else TEST)
        arguments = ("policy", "push", str(self._folder), "--layer", "organisation")
        return int(self.told(self.sam, *arguments)["revision"])

    def told(self, token: str, *arguments: str, expect: int = 0) -> Any:
        return json.loads(self.mesh.mesh(token, *arguments, "-o", "json", expect=expect).stdout)


@pytest.fixture
def town(own_mesh: Mesh) -> Town:
    return start_town(own_mesh)


def test_a_hole_is_named_before_it_is_live_and_the_mended_policy_is_live_everywhere(
    town: Town, tmp_path: Path
) -> None:
    mesh, security = town.mesh, Security(town.mesh, tmp_path / "organisation")
    first = security.push(CAREFUL)
    mesh.mesh(security.sam, "policy", "rehearse", str(first), expect=0)
    live = mesh.mesh(security.sue, "policy", "activate", str(first), "--wait", "10")
    assert "Every connected agent has it" in live.stderr
    assert "email" not in town.reader().read(PASSENGERS.replace(", email", "")).column_names
    assert town.reader().refusal(PASSENGERS)
    assert len(town.reader().read("SELECT country, name FROM reservations.passengers LIMIT 3"))

    hole = security.push(HOLE)
    told = security.told(security.sam, "policy", "rehearse", str(hole), expect=10)
    assert {one["change"] for one in told["findings"]} == {"column exposed"}
    (email,) = [one for one in told["findings"] if "email" in one["columns"]]
    assert (email["who"], email["product"]) == ("user:ana", "bookings.reservations.passengers")
    assert (email["before"], email["purpose"]) == ("drop", "crew-planning")
    stopped = mesh.mesh(security.sue, "policy", "activate", str(hole), expect=5)
    assert "policy.exposes" in stopped.stderr
    assert re.search(r"user:ana for crew-planning: .*email", stopped.stderr)
    assert town.reader().refusal(PASSENGERS)

    ids = sorted(one["id"] for one in told["findings"])
    accepting = [option for id_ in ids for option in ("--accept", id_)]
    if ids[1:]:
        mesh.mesh(security.sue, "policy", "activate", str(hole), *accepting[:2], expect=5)
    accepted = security.told(security.sue, "policy", "activate", str(hole), *accepting)
    assert accepted["accepted"] == ids
    mesh.mesh(security.sue, "policy", "status", "--wait", "10")
    assert "email" in town.reader().read(PASSENGERS).column_names
    mesh.mesh(security.sue, "policy", "rollback", "organisation", "--wait", "10")
    assert town.reader().refusal(PASSENGERS)
    agents = security.told(security.sam, "policy", "status")["agents"]
    assert {one["state"] for one in agents} == {"current"}
    assert {one["digest"] == one["reported_digest"] for one in agents} == {True}


def test_a_rehearsal_is_of_what_is_in_force_now(town: Town, tmp_path: Path) -> None:
    mesh, security = town.mesh, Security(town.mesh, tmp_path / "organisation")
    first, second = security.push(CAREFUL), security.push(HOLE)
    never = mesh.mesh(security.sue, "policy", "activate", str(second), expect=5)
    assert "policy.unrehearsed" in never.stderr
    for revision in (first, second):
        mesh.mesh(security.sam, "policy", "rehearse", str(revision))
    mesh.mesh(security.sue, "policy", "activate", str(first))
    stale = mesh.mesh(security.sue, "policy", "activate", str(second), expect=5)
    assert "not rehearsed against what is in force now" in stale.stderr


def test_an_agent_that_was_restarted_rehearses_what_it_recorded_before(
    own_mesh: Mesh, tmp_path: Path
) -> None:
    town = start_town(own_mesh, ("bookings",))
    security = Security(own_mesh, tmp_path / "organisation")
    assert len(town.reader().read(PASSENGERS)) > 0
    wait_until(lambda: len(town.entries("--outcome", "completed")) > 0, "the read is stored")
    own_mesh.agents["bookings"].stop()
    own_mesh.start_agent("bookings", DATA / "bookings", CONTRACTS / "bookings")
    probe = reader(own_mesh, town.ana, "bookings")
    wait_until(lambda: "not_ready" not in probe.refusal("SELECT 1"), "it is ready again")
    told = security.told(security.sam, "policy", "rehearse", str(security.push(CAREFUL)))
    assert {one["change"] for one in told["findings"]} == {"column masked"}
    assert {one["who"] for one in told["findings"]} == {"user:ana"}
