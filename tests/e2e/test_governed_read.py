"""The main line, through real processes and a client that is not ours."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest
from adbc_driver_manager import Error

from examples.airline.processes import DATA
from examples.airline.reader import Reader
from tests.e2e.town import PASSENGERS, PURPOSE, Town, rows, wait_until

SLOW_READER = Path(__file__).with_name("slow_reader.py")
FILE = DATA / "bookings" / "passengers.parquet"


def test_adbc_reads_masked_rows_and_never_a_raw_value(town: Town) -> None:
    masked = town.reader().read(f"{PASSENGERS} LIMIT 5000")
    with duckdb.connect() as raw:
        emails = {email for (email,) in raw.sql(f"SELECT email FROM '{FILE}'").fetchall()}
    assert masked.num_rows == 5000
    assert set(masked["name"].to_pylist()) == {"***"}
    assert emails.isdisjoint(masked["email"].to_pylist())
    assert all("***" in email for email in masked["email"].to_pylist())


def test_masks_hold_in_every_clause(town: Town) -> None:
    reader = town.reader()
    with duckdb.connect() as raw:
        row = raw.execute(f"SELECT email, name FROM '{FILE}' LIMIT 1").fetchone()
    assert row is not None
    found = reader.read(
        "SELECT count(*) AS n FROM reservations.passengers WHERE email = ? OR name = ?", row
    )
    assert found["n"].to_pylist() == [0]


def test_parameters_give_a_statement_its_types(town: Town) -> None:
    read = town.reader().read("SELECT ? AS text, ? + 1 AS number", ["crew", 41])
    assert read.to_pylist() == [{"text": "crew", "number": 42}]


def test_a_restricted_column_without_a_mask_is_not_even_named(town: Town) -> None:
    table = town.reader().read("SELECT * FROM reservations.passengers LIMIT 1")
    assert "passport_number" not in table.column_names
    refusal = town.reader().refusal("SELECT passport_number FROM reservations.passengers")
    assert "statement.invalid" in refusal or "passport_number" in refusal


def test_a_wrong_or_missing_purpose_is_refused(town: Town) -> None:
    assert "marketing" in town.reader(purpose="marketing").refusal(PASSENGERS)
    assert "not registered" in town.reader(purpose="world-domination").refusal(PASSENGERS)
    assert "request.invalid" in town.reader(purpose="p" * 13_000).refusal(PASSENGERS)


def test_a_domain_token_is_worth_nothing_elsewhere(town: Town) -> None:
    bookings = town.reader()
    fleet = Reader(town.mesh.agents["fleet"].ready, bookings.token, PURPOSE)
    assert "mesh:domain:fleet" in fleet.refusal("SELECT 1 FROM aircraft.planes")
    refused = town.mesh.mesh(bookings.token, "product", "list", expect=7)
    assert "token.audience" in refused.stderr or "mesh:control" in refused.stderr
    control = Reader(bookings.uri, town.ana, PURPOSE)
    assert "mesh:domain:bookings" in control.refusal(PASSENGERS)


def test_a_forged_token_is_refused(town: Town) -> None:
    head, _, tail = town.reader().token.rpartition(".")
    forged = Reader(town.mesh.agents["bookings"].ready, f"{head}.{tail[:-4]}AAAA", PURPOSE)
    assert "token" in forged.refusal(PASSENGERS)


def test_a_consumer_without_an_agreement_is_told_to_ask(town: Town) -> None:
    refusal = town.reader("fleet").refusal("SELECT * FROM aircraft.planes")
    assert "mesh access request fleet.aircraft" in refusal


def test_why_recomputes_the_decision_of_a_read_and_of_a_refusal(town: Town) -> None:
    town.reader().read(f"{PASSENGERS} LIMIT 1")
    town.reader(purpose="marketing").refusal(PASSENGERS)
    wait_until(
        lambda: (
            {"read.completed", "read.refused"}
            <= {row["action"] for row in town.entries("--kind", "read")}
        ),
        "the evidence arrives",
    )
    for action in ("read.completed", "read.refused"):
        entry = next(r for r in town.entries("--kind", "read") if r["action"] == action)
        why = town.mesh.mesh(town.ada, "why", str(entry["reference"]))
        assert "ALARM" not in why.stdout
        assert "equal" in why.stdout


def test_a_client_that_vanishes_mid_stream_leaves_an_aborted_receipt(town: Town) -> None:
    reader = town.reader()
    with subprocess.Popen(
        [sys.executable, str(SLOW_READER), reader.uri, reader.token, reader.purpose],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as client:
        assert client.stdout is not None
        assert client.stdout.readline() == "began\n"
        client.kill()
    wait_until(
        lambda: any(row["action"] == "read.aborted" for row in town.entries("--kind", "read")),
        "the aborted read is in the audit",
    )


def test_evidence_names_literals_never(town: Town) -> None:
    secret = "zanzibar-4711"
    town.reader().read(f"SELECT count(*) FROM reservations.passengers WHERE country = '{secret}'")
    wait_until(
        lambda: all(r["action"] != "read.started" for r in town.entries("--kind", "read")),
        "the evidence arrives",
    )
    entry = town.entries("--kind", "read")[0]
    receipt = town.mesh.mesh(town.ada, "why", str(entry["reference"]), "-o", "json").stdout
    assert "country" in receipt
    assert secret not in receipt


def test_errors_while_running_carry_no_values(town: Town) -> None:
    with pytest.raises(Error) as caught:
        town.reader().read("SELECT CAST(email AS INTEGER) FROM reservations.passengers")
    assert "@" not in str(caught.value)


def test_agreements_show_when_they_were_enforced_and_first_used(town: Town) -> None:
    town.reader().read(f"{PASSENGERS} LIMIT 1")

    def used() -> bool:
        shown = rows(town.mesh, town.ana, "access", "list", "--state", "active")
        return bool(shown[0]["first_read"] and shown[0]["enforced"])

    wait_until(used, "the first read is known")
