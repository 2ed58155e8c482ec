import json
from typing import Any

import pytest

from mesh import errors
from mesh.decisions.metadata import sentences
from mesh.decisions.policy import Policy
from mesh.v1 import audit_pb2
from tests.unit.cli import evidence
from tests.unit.cli.samples import AGREEMENT_ID, RECEIPT_ID
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import Run


def keep(control: ControlPlane, receipt: audit_pb2.Receipt) -> None:
    control.answers["GetReceipt"] = audit_pb2.GetReceiptResponse(receipt=receipt)
    evidence.serve_policy(control)


def test_an_allowed_read_is_explained_and_decided_anew(control: ControlPlane, run: Run) -> None:
    keep(control, evidence.allowed_receipt())
    done = run("why", RECEIPT_ID)
    assert done.code == 0
    assert "equal" in done.out
    assert "ALARM" not in done.out + done.err
    for told in (
        "user:ana",
        "crew-planning",
        AGREEMENT_ID,
        "completed, 5 rows, 1,234 bytes, 17 ms",
        evidence.POLICY.digest,
        "email",
        "library.contract",
        "country = 'NL'",
    ):
        assert told in " ".join(done.out.split())


def test_a_refusal_is_explained_with_the_policys_sentence_and_the_next_step(
    control: ControlPlane, run: Run
) -> None:
    keep(control, evidence.refused_receipt())
    done = run("why", RECEIPT_ID)
    assert done.code == 0
    assert "No agreement of this consumer covers this product now." in done.out
    assert "mesh access request bookings.reservations" in done.out
    assert "equal" in done.out


def test_a_receipt_is_one_json_document(control: ControlPlane, run: Run) -> None:
    keep(control, evidence.allowed_receipt())
    told: dict[str, Any] = json.loads(run("why", RECEIPT_ID, "-o", "json").out)
    (decision,) = told["decisions"]
    assert told["state"] == "completed"
    assert decision["recomputed"] == {"equal": True, "problem": None}
    assert decision["input"] == evidence.INPUT
    assert decision["decision"] == evidence.ALLOWED


@pytest.mark.parametrize(
    "tampered",
    [
        {**evidence.ALLOWED, "rows": []},
        {**evidence.ALLOWED, "masks": {"c0": {"mask": "clear", "rules": ["library.contract"]}}},
        {**evidence.ALLOWED, "valid_until": None},
    ],
)
def test_a_decision_that_does_not_come_out_as_stored_is_an_alarm(
    tampered: dict[str, object], control: ControlPlane, run: Run
) -> None:
    keep(control, evidence.allowed_receipt(tampered))
    done = run("why", RECEIPT_ID)
    assert done.code == 1
    assert "ALARM" in done.out
    assert "ALARM" in done.err
    assert "ALARM" in run("why", RECEIPT_ID, "--quiet").err


def test_modules_that_do_not_have_the_digest_are_an_alarm(control: ControlPlane, run: Run) -> None:
    keep(control, evidence.allowed_receipt())
    path = "library/access.rego"
    changed = {**evidence.POLICY.modules, path: evidence.POLICY.modules[path] + "\n# changed\n"}
    evidence.serve_policy(control, Policy(changed))
    done = run("why", RECEIPT_ID)
    assert done.code == 1
    assert "have the digest" in done.err


def test_a_policy_that_cannot_be_had_is_no_proof(control: ControlPlane, run: Run) -> None:
    keep(control, evidence.allowed_receipt())
    control.answers["GetPolicy"] = errors.PolicyNotFound("no policy with this digest")
    done = run("why", RECEIPT_ID)
    assert done.code == errors.NotFound.kind.exit_code
    assert "not decided anew" in done.out
    assert "equal" not in done.out


def test_a_read_under_way_says_that_its_end_has_not_arrived(
    control: ControlPlane, run: Run
) -> None:
    receipt = evidence.allowed_receipt()
    del receipt.events[1]
    receipt.state = "started"
    keep(control, receipt)
    assert "its end has not arrived" in run("why", RECEIPT_ID).out


def test_a_read_that_nobody_counted_says_so(control: ControlPlane, run: Run) -> None:
    keep(control, evidence.aborted_receipt())
    told = " ".join(run("why", RECEIPT_ID).out.split())
    assert "aborted, how much was handed out is not known, because agent.restarted" in told


def test_a_receipt_without_its_first_event_is_invalid(control: ControlPlane, run: Run) -> None:
    receipt = evidence.allowed_receipt()
    del receipt.events[0]
    keep(control, receipt)
    assert run("why", RECEIPT_ID).code == errors.Invalid.kind.exit_code


def test_an_unknown_receipt_is_not_found(control: ControlPlane, run: Run) -> None:
    control.answers["GetReceipt"] = errors.ReceiptNotFound("no such receipt")
    assert run("why", RECEIPT_ID).code == errors.NotFound.kind.exit_code


def test_a_receipt_of_several_agents_is_asked_of_one(control: ControlPlane, run: Run) -> None:
    keep(control, evidence.allowed_receipt())
    assert run("why", RECEIPT_ID).code == 0
    assert control.last("GetReceipt").source == ""
    assert run("why", RECEIPT_ID, "--agent", "bookings/bookings-1").code == 0
    asked = control.last("GetReceipt")
    assert (asked.id, asked.source) == (RECEIPT_ID, "/agents/bookings/bookings-1")

    control.answers["GetReceipt"] = errors.ReceiptAmbiguous("of bookings/b-1 and fleet/f-1")
    done = run("why", RECEIPT_ID)
    assert done.code == errors.Invalid.kind.exit_code
    assert "of bookings/b-1 and fleet/f-1" in done.err


@pytest.mark.parametrize("odd", ["bookings", "/b-1", "bookings/", "a/b/c", "/agents/bookings/b-1"])
def test_an_agent_is_named_by_domain_and_id(odd: str, control: ControlPlane, run: Run) -> None:
    done = run("why", RECEIPT_ID, "--agent", odd)
    assert done.code == errors.USAGE_EXIT_CODE
    assert "DOMAIN/ID" in done.err
    assert control.asked == []


def test_sentences_come_from_metadata_by_title() -> None:
    module = """package mesh.organisation

# METADATA
# title: organisation.residency
# description: Data of people in the EU
#   stays with agents in the EU.
require["organisation.residency"] if input.product.residency == "eu"

# METADATA
# title: [broken
require["organisation.other"] if true
"""
    assert sentences([module]) == {
        "organisation.residency": "Data of people in the EU stays with agents in the EU."
    }
