"""How commands look at 80 columns, with and without colour, and in a pipe."""

import re

import pytest

from cli.arguments import instant_behind
from mesh.v1 import (
    agents_pb2,
    agreements_pb2,
    audit_pb2,
    contracts_pb2,
    policies_pb2,
    status_pb2,
)
from tests.unit.cli import evidence, samples
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import NOW, Run

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")
COMMANDS = [
    ("product", "list"),
    ("product", "show", "bookings.reservations"),
    ("access", "list"),
    ("access", "show", samples.AGREEMENT_ID),
    ("agent", "list"),
    ("agent", "show", "bookings/bookings-1"),
    ("audit", "list"),
    ("audit", "tail"),
    ("policy", "show"),
    ("status",),
    ("why", samples.RECEIPT_ID),
]


@pytest.fixture
def full(control: ControlPlane, run: Run) -> Run:
    control.answers.update(
        {
            "ListProducts": contracts_pb2.ListProductsResponse(contracts=[samples.contract()]),
            "GetContract": contracts_pb2.GetContractResponse(contract=samples.contract()),
            "ListAgreements": agreements_pb2.ListAgreementsResponse(
                agreements=[samples.agreement(), samples.agreement()]
            ),
            "GetAgreement": agreements_pb2.GetAgreementResponse(agreement=samples.agreement()),
            "ListAgents": agents_pb2.ListAgentsResponse(agents=[samples.agent()]),
            "GetAgent": agents_pb2.GetAgentResponse(agent=samples.agent()),
            "ListEntries": audit_pb2.ListEntriesResponse(entries=[samples.entry()]),
            "GetStatus": status_pb2.GetStatusResponse(policy_digest="ab" * 32),
            "GetReceipt": audit_pb2.GetReceiptResponse(receipt=evidence.allowed_receipt()),
        }
    )
    evidence.serve_policy(control)
    assert isinstance(control.answers["GetPolicy"], policies_pb2.GetPolicyResponse)
    return run


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_line_is_wider_than_the_terminal(command: tuple[str, ...], full: Run) -> None:
    done = full(*command, size=(80, 24))
    lines = ESCAPE.sub("", done.out).splitlines()
    assert done.code == 0
    assert lines
    assert [line for line in lines if len(line) > 80 or line != line.rstrip()] == []


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_narrow_terminal_loses_nothing(command: tuple[str, ...], full: Run) -> None:
    def words(text: str) -> set[str]:
        rows = [line for line in ESCAPE.sub("", text).splitlines() if not line.isupper()]
        return {word.strip(",") for row in rows for word in row.split()}

    wide = words(full(*command, size=(400, 24)).out)
    narrow = words(full(*command, size=(80, 24)).out)
    assert wide - narrow <= {"-"}


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_pipe_gets_no_colour(command: tuple[str, ...], full: Run) -> None:
    assert "\x1b" not in full(*command).out


@pytest.mark.parametrize("command", [c for c in COMMANDS if c[1:2] == ("list",)], ids=" ".join)
def test_a_pipe_gets_one_line_for_each_thing(command: tuple[str, ...], full: Run) -> None:
    header, *rows = full(*command).out.splitlines()
    assert header.split()[0].isupper()
    assert len(rows) == (2 if command[0] == "access" else 1)
    assert samples.AGREEMENT_ID in rows[0] or command[0] != "access"


@pytest.mark.parametrize("variable", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_colour_can_be_turned_off(variable: dict[str, str], full: Run) -> None:
    assert "\x1b" in full("product", "list", size=(80, 24)).out
    assert "\x1b" not in full("product", "list", size=(80, 24), variables=variable).out


def test_times_are_told_in_words_and_as_iso_8601(full: Run) -> None:
    shown = full("access", "show", samples.AGREEMENT_ID).out
    assert "5 minutes ago (2026-11-24T21:55:00Z)" in shown
    assert "in 90 days (2027-02-22T22:00:00Z)" in shown


def test_since_a_date_begins_with_its_first_moment() -> None:
    assert instant_behind("2026-11-24", NOW).isoformat() == "2026-11-24T00:00:00+00:00"
