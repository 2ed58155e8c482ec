"""`mesh` against the real control plane: what it shows is what the services say."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from mesh import errors
from mesh.v1 import audit_pb2
from tests.unit.cli import evidence, samples
from tests.unit.cli.terminal import Clock, Outcome, runner
from tests.unit.control_plane.documents import contract
from tests.unit.control_plane.running import Plane, running
from tests.unit.control_plane.sealing import sealed, wrapped_keys

ASK = (
    "access", "request", "bookings.reservations", "--role", "analyst", "--purpose",
    "crew-planning", "--justification", "plan crews",
)  # fmt: skip


@pytest.fixture
def plane(tmp_path: Path) -> Iterator[Plane]:
    with running(tmp_path / "state") as plane:
        yield plane


class People:
    """Everybody runs `mesh` with a token of their own, kept in a context of their name."""

    def __init__(self, plane: Plane, home: Path) -> None:
        self._run = runner(home, {}, Clock(), lambda: datetime.now(UTC))
        admin = (plane.state / "admin.token").read_text()
        self._keep("admin", plane.address, admin)
        for name, options in {
            "ana": ("--team", "planning"),
            "olga": ("--duty", "owner:bookings"),
            "ada": ("--duty", "auditor"),
            "sam": ("--duty", "security"),
            "sue": ("--duty", "security"),
        }.items():
            issued = self("admin", "token", "issue", "--for", f"user:{name}", *options)
            self._keep(name, plane.address, issued.out)

    def _keep(self, name: str, server: str, token: str) -> None:
        kept = self._run("context", "set", name, "--server", server, "--token", token.strip())
        assert kept.code == 0, kept.err

    def __call__(self, who: str, *arguments: str, code: int = 0) -> Outcome:
        done = self._run(*arguments, "--context", who)
        assert done.code == code, done
        return done

    def told(self, who: str, *arguments: str) -> Any:
        """What a command says as JSON."""
        return json.loads(self(who, *arguments, "-o", "json").out)


@pytest.fixture
def people(plane: Plane, tmp_path: Path) -> People:
    everybody = People(plane, tmp_path)
    everybody("admin", "purpose", "add", "crew-planning", "Plan crews")
    return everybody


@pytest.fixture
def published(people: People, tmp_path: Path) -> People:
    file = tmp_path / "reservations.yaml"
    file.write_bytes(contract())
    people("olga", "product", "publish", str(file))
    return people


def test_everybody_is_who_their_token_says(people: People) -> None:
    assert people.told("ana", "token", "show")["principal"] == "user:ana"
    assert people.told("olga", "token", "show")["duties"] == ["owner:bookings"]


def test_publishing_again_changes_nothing_and_other_content_is_refused(
    published: People, tmp_path: Path
) -> None:
    file = tmp_path / "reservations.yaml"
    (again,) = published.told("olga", "product", "publish", str(file))
    assert again["outcome"] == "unchanged"
    file.write_bytes(contract(owners=("olga", "omar")))
    refused = published("olga", "product", "publish", str(file), code=5)
    assert "contract.version_taken" in refused.err
    compared = published("olga", "contract", "diff", "--published", str(file), code=10)
    assert "owners" in compared.out


def test_what_is_shown_is_what_was_published(published: People) -> None:
    shown = published("ana", "product", "show", "bookings.reservations", "--document")
    assert shown.out.encode() == contract()
    (listed,) = published.told("ana", "product", "list")
    assert listed["product"] == "bookings.reservations"


def test_a_broken_contract_is_told_line_by_line(people: People, tmp_path: Path) -> None:
    file = tmp_path / "broken.yaml"
    file.write_bytes(contract().replace(b"bookings", b"Bookings"))
    refused = people("olga", "product", "publish", str(file), code=4)
    assert "contract.invalid" in refused.err
    assert "line " in refused.err


def test_a_request_is_approved_by_its_owner_alone(published: People) -> None:
    asked = published.told("ana", *ASK, "--until", "30d")
    assert asked["approvers"] == ["olga"]
    published("ana", "access", "approve", asked["id"], code=6)
    approved = published.told("olga", "access", "approve", asked["id"], "--note", "fine")
    assert (approved["state"], approved["note"]) == ("active", "fine")
    (listed,) = published.told("ana", "access", "list", "--state", "active")
    assert listed["id"] == asked["id"]
    revoked = published.told("olga", "access", "revoke", asked["id"], "--note", "done")
    assert (revoked["state"], revoked["ender"]) == ("revoked", "user:olga")
    published("olga", "access", "revoke", asked["id"], code=5)


def test_requests_are_rejected_and_cancelled(published: People) -> None:
    rejected = published.told("ana", *ASK)["id"]
    assert published.told("olga", "access", "reject", rejected)["state"] == "rejected"
    cancelled = published.told("ana", *ASK)["id"]
    assert published.told("ana", "access", "cancel", cancelled)["state"] == "cancelled"
    states = {row["state"] for row in published.told("ana", "access", "list")}
    assert states == {"rejected", "cancelled"}


@pytest.mark.parametrize(
    ("change", "reason", "code"),
    [
        (("--role", "pilot"), "role.unknown", 4),
        (("--purpose", "nonsense"), "purpose.unknown", 4),
        (("--until", "2020-01-01"), "agreement.invalid", 4),
        (("--until", "400d"), "agreement.invalid", 4),
        (("--dataset", "nothing"), "dataset.not_found", 3),
    ],
)
def test_a_wrong_request_is_refused_with_its_reason(
    change: tuple[str, ...], reason: str, code: int, published: People
) -> None:
    assert reason in published("ana", *ASK, *change, code=code).err


def test_unknown_things_are_not_found(people: People) -> None:
    people("ana", "product", "show", "bookings.nothing", code=3)
    people("ana", "access", "show", samples.AGREEMENT_ID, code=3)
    people("ana", "why", samples.RECEIPT_ID, code=3)
    people("ana", "agent", "show", "bookings/nobody", code=3)
    people("ana", "policy", "show", "--digest", "00" * 32, code=3)


def test_who_has_no_duty_is_refused(people: People) -> None:
    people("ana", "purpose", "add", "mine", "Mine", code=6)
    people("ana", "agent", "join-token", "bookings", code=6)
    people("ana", "token", "issue", "--for", "user:eve", code=6)


def test_a_token_for_a_domain_is_worth_nothing_here(people: People) -> None:
    token = people("ana", "token", "issue", "--domain", "bookings").out.strip()
    refused = people("ana", "token", "show", "--token", token, code=7)
    assert "token.audience" in refused.err


def test_the_active_policy_is_the_one_that_is_shipped(people: People) -> None:
    shown = people.told("ana", "policy", "show")
    assert shown["digest"] == evidence.POLICY.digest
    text = people("ana", "policy", "show", "library/access.rego").out
    assert text == evidence.POLICY.modules["library/access.rego"]
    assert people.told("ana", "status")["policy_digest"] == evidence.POLICY.digest


def test_changes_are_in_the_audit(published: People) -> None:
    published("ana", *ASK)
    listed = published.told("ada", "audit", "list", "--product", "bookings.reservations")
    assert {"contract.published", "agreement.requested"} <= {row["action"] for row in listed}
    (latest,) = published.told("ada", "audit", "list", "--kind", "change", "--limit", "1")
    assert latest["action"] == "agreement.requested"


def test_an_agents_evidence_is_explained_and_decided_anew(published: People, plane: Plane) -> None:
    agent = plane.agent()
    agent_name = "bookings/bookings-1"
    events = evidence.allowed_receipt().events
    for event in events:
        if event.personal:
            data, inputs = json.loads(event.data), json.loads(event.personal)["inputs"]
            event.data = sealed(event.id, agent_name, "ana", data, inputs)
    agent.audit.AppendEvents(audit_pb2.AppendEventsRequest(events=events))
    told = published.told("ada", "why", samples.RECEIPT_ID)
    assert told["state"] == "completed"
    assert [decision["recomputed"]["equal"] for decision in told["decisions"]] == [True]


def test_an_agent_that_enrolled_is_listed(people: People, plane: Plane) -> None:
    plane.agent()
    (listed,) = people.told("olga", "agent", "list")
    assert listed["agent"] == "bookings/bookings-1"
    assert listed["connected"] is False


def test_every_list_follows_its_pages(people: People) -> None:
    for number in range(120):
        people("admin", "purpose", "add", f"purpose-{number}", "One of many", "-q")
    assert len(people.told("ana", "purpose", "list")) == 121


def test_an_expired_token_says_so(people: People, plane: Plane) -> None:
    plane.clock.ahead = timedelta(days=2)
    refused = people("ana", "product", "list", code=errors.Unauthenticated.kind.exit_code)
    assert "token.expired" in refused.err


def test_reads_are_listed_counted_and_told_of_by_who_made_them(
    people: People, plane: Plane
) -> None:
    name = "bookings/bookings-1"
    agent = plane.agent()
    keys = wrapped_keys(plane.state, name, ("ana",))
    agent.audit.ReportEvidence(audit_pb2.ReportEvidenceRequest(keys=keys))
    events = evidence.allowed_receipt().events
    column = {"column": "email", "classification": "restricted", "mask": "pseudonym"}
    for event in events:
        if event.personal:
            data = json.loads(event.data)
            data["decisions"][0]["columns"] = [column]
            event.data = sealed(event.id, name, "ana", data)
    agent.audit.AppendEvents(audit_pb2.AppendEventsRequest(events=events))

    words = ("--who", "user:ana", "--class", "restricted", "--since", "2026-11-24")
    (listed,) = people.told("ada", "audit", "list", *words)
    assert (listed["action"], listed["reference"]) == ("read.completed", samples.RECEIPT_ID)
    by = ("--by", "product", "--by", "class")
    (counted,) = people.told("ada", "audit", "stats", *by, *words)
    assert (counted["product"], counted["class"]) == ("bookings.reservations", "restricted")
    assert (counted["reads"], counted["rows"]) == (1, listed["rows"])
    told = people.told("ada", "audit", "reads", *words)
    assert (told["reads"], told["rows"]) == (1, listed["rows"])
    assert told["latest"][0]["receipt"] == samples.RECEIPT_ID
    assert people.told("ana", "audit", "stats", *words)
    assert people.told("ada", "audit", "list", "--who", "user:ana", "--class", "public") == []
    assert (
        people.told("ada", "audit", "stats", "--until", "2026-11-01", "--since", "2026-10-01") == []
    )


RESIDENCY = """package mesh.organisation

# METADATA
# title: organisation.residency
# description: Personal data is read from products that keep it in the EU.
require["organisation.residency"] if input.product.residency == "eu"
"""
RESIDENCY_TEST = """package mesh.organisation_test

import data.mesh.organisation

test_europe if {
	organisation.require["organisation.residency"] with input.product as {"residency": "eu"}
}
"""


@pytest.fixture
def layer(tmp_path: Path) -> Path:
    """The organisation's layer in a folder."""
    folder = tmp_path / "organisation"
    folder.mkdir()
    (folder / "residency.rego").write_text(RESIDENCY)
    (folder / "residency_test.rego").write_text(RESIDENCY_TEST)
    return folder


def test_a_policy_goes_from_a_folder_into_force_and_back(people: People, layer: Path) -> None:
    pushing = ("policy", "push", str(layer), "--layer", "organisation")
    assert people.told("sam", *pushing, "--dry-run")["revision"] is None
    pushed = people.told("sam", *pushing, "-m", "residency")
    assert (pushed["state"], pushed["message"]) == ("draft", "residency")
    revision = str(pushed["revision"])
    told = people("sam", "policy", "diff", revision, code=10)
    assert '+require["organisation.residency"] if input.product.residency' in told.out
    alone = people("sam", "policy", "activate", revision, code=6)
    assert "policy.second_person" in alone.err
    made = people.told("sue", "policy", "activate", revision)
    assert (made["kind"], made["agents"]) == ("activated", "all")
    assert people("sue", "policy", "diff", revision).out == ""
    (listed,) = people.told("ada", "policy", "list", "--layer", "organisation")
    assert listed["state"] == "active"
    (mine,) = (
        one
        for one in people.told("ada", "policy", "status")["layers"]
        if one["layer"] == "organisation"
    )
    assert mine["active"] == pushed["revision"]
    assert "Every connected agent has it" in people("sue", "policy", "status", "--wait", "5").err
    people("sue", "policy", "rollback", "organisation", "--to-none")
    kinds = [one["kind"] for one in people.told("ada", "policy", "log", "--layer", "organisation")]
    assert kinds == ["rolled back", "activated"]


def test_a_pushed_problem_is_told_with_file_and_line(people: People, layer: Path) -> None:
    (layer / "residency.rego").write_text(RESIDENCY + "\nallow := true\n")
    refused = people("sam", "policy", "push", str(layer), "--layer", "organisation", code=4)
    assert f"{layer}/residency.rego:8: a layer has no rule `allow`" in refused.out
    assert "nothing was kept" in refused.err
    assert people.told("sam", "policy", "list", "--layer", "organisation") == []


def test_links_out_of_a_folder_are_not_pushed(people: People, layer: Path, tmp_path: Path) -> None:
    (tmp_path / "secret.rego").write_text("package mesh.organisation\n")
    (layer / "link.rego").symlink_to(tmp_path / "secret.rego")
    refused = people("sam", "policy", "push", str(layer), "--layer", "organisation", code=4)
    assert "is a link" in refused.err


def test_what_somebody_would_get_is_told_with_every_requirement(
    published: People, layer: Path
) -> None:
    asking = (
        "policy", "what-if", "--as", "user:ana", "--product", "bookings.reservations",
        "--purpose", "crew-planning",
    )  # fmt: skip
    published("sam", *asking, "--fail-on-deny", code=6)
    before = published.told("sam", *asking)["outcomes"][0]
    assert (before["verdict"], before["reasons"]) == ("deny", ["agreement.missing"])
    asked = published.told("ana", *ASK)
    published("olga", "access", "approve", asked["id"])
    (after, *_) = published.told("sam", *asking)["outcomes"]
    assert (after["verdict"], after["agreement"]) == ("allow", asked["id"])
    assert all(one["met"] and one["means"] for one in after["requirements"])
    assert {one["column"]: one["rules"] for one in after["columns"]}
    pushed = published.told("sam", "policy", "push", str(layer), "--layer", "organisation")
    with_it = published.told("olga", *asking, "--revision", str(pushed["revision"]))
    (unmet,) = [one for one in with_it["outcomes"][0]["requirements"] if not one["met"]]
    assert unmet["requirement"] == "organisation.residency"
    assert unmet["means"].startswith("Personal data is read from products")
    assert "agreement.missing" in published("sam", *asking).out
    published("ana", *asking, code=6)
    published("sam", *asking, "--at", "yesterday", code=2)
