import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest
import yaml

from cli.statement import domains_named
from mesh import errors
from mesh.v1 import audit_pb2, contracts_pb2
from tests.unit.cli import evidence, samples
from tests.unit.cli.agent_server import Agent, serving_agent
from tests.unit.cli.services import ControlPlane
from tests.unit.cli.terminal import Clock, Outcome, Run

SQL = "SELECT * FROM passengers"


@pytest.fixture
def agent() -> Iterator[Agent]:
    with serving_agent() as served:
        served.batches = [rows(3)]
        yield served


@pytest.fixture
def ask(control: ControlPlane, agent: Agent, run: Run) -> Run:
    """`mesh query`, on a mesh with one domain whose agent serves."""
    serve(control, agent)

    def query(*arguments: str, **options: object) -> Outcome:
        purpose = ("--purpose", "crew-planning")
        return run("query", *arguments, *purpose, **options)  # type: ignore[arg-type]

    return query


def serve(control: ControlPlane, agent: Agent, *domains: str) -> None:
    contracts = [samples.contract(domain) for domain in domains or ("bookings",)]
    for contract in contracts:
        contract.flight_uris.append(agent.uri)
    control.answers["ListProducts"] = contracts_pb2.ListProductsResponse(contracts=contracts)
    control.answers["IssueToken"] = samples.token()
    control.answers["GetReceipt"] = audit_pb2.GetReceiptResponse(receipt=evidence.allowed_receipt())


def rows(count: int, start: int = 0) -> pa.RecordBatch:
    numbers = range(start, start + count)
    return pa.record_batch(
        {
            "id": pa.array(numbers, pa.int64()),
            "name": pa.array([f"n{number}" for number in numbers], pa.string()),
        }
    )


def test_rows_go_to_stdout_and_everything_else_to_stderr(ask: Run) -> None:
    done = ask(SQL, "-o", "csv")
    assert done.code == 0
    assert done.out == 'id,name\n0,"n0"\n1,"n1"\n2,"n2"\n'
    assert samples.RECEIPT_ID in done.err
    assert "masked passengers.email: partial (library.contract)" in done.err
    assert "rows of passengers filtered by library.role" in done.err
    assert "tier" not in done.err


def test_the_agent_gets_the_domain_token_the_purpose_and_the_agreement(
    ask: Run, agent: Agent, control: ControlPlane
) -> None:
    ask(SQL, "--agreement", samples.AGREEMENT_ID)
    (metadata,) = agent.metadata
    assert metadata["authorization"] == f"Bearer {samples.TOKEN}"
    assert metadata["x-mesh-purpose"] == "crew-planning"
    assert metadata["x-mesh-agreement"] == samples.AGREEMENT_ID
    assert "x-mesh-revision" not in metadata
    assert control.last("IssueToken").domain == "bookings"
    assert agent.statements == [SQL]


def test_a_least_revision_goes_along_with_the_read(ask: Run, agent: Agent) -> None:
    assert ask(SQL, "--revision", "12345").code == 0
    assert [metadata["x-mesh-revision"] for metadata in agent.metadata] == ["12345"]


@pytest.mark.parametrize("revision", ["0", "-1", "soon", "1.5"])
def test_what_is_no_revision_is_a_usage_error(revision: str, ask: Run, agent: Agent) -> None:
    assert ask(SQL, "--revision", revision).code == errors.USAGE_EXIT_CODE
    assert agent.metadata == []


def test_an_agent_that_is_behind_is_unavailable(ask: Run, agent: Agent) -> None:
    agent.refuses = errors.AgentBehind("it is behind", revision="7", wanted="9")
    done = ask(SQL, "--revision", "9", "-o", "json")
    assert done.code == errors.Unavailable.kind.exit_code
    assert json.loads(done.err)["metadata"] == {"revision": "7", "wanted": "9"}


def test_many_batches_are_one_json_array(ask: Run, agent: Agent) -> None:
    agent.batches = [rows(2), rows(0), rows(2, start=2)]
    assert [row["id"] for row in json.loads(ask(SQL, "-o", "json").out)] == [0, 1, 2, 3]
    assert [row["id"] for row in yaml.safe_load(ask(SQL, "-o", "yaml").out)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("format_", "text"), [("json", "[]\n"), ("yaml", "[]\n"), ("csv", "id,name\n")]
)
def test_no_rows_are_still_a_document(format_: str, text: str, ask: Run, agent: Agent) -> None:
    agent.batches = [rows(0)]
    done = ask(SQL, "-o", format_)
    assert done.out == text
    assert "0 rows" in done.err


def test_every_type_has_one_spelling(ask: Run, agent: Agent) -> None:
    moment = datetime(2013, 1, 1, 5, 0, 0, 120_000, tzinfo=UTC)
    agent.batches = [
        pa.record_batch(
            {
                "day": pa.array([date(2013, 1, 1)]),
                "local": pa.array([moment.replace(tzinfo=None)], pa.timestamp("us")),
                "utc": pa.array([moment], pa.timestamp("us", "Europe/Amsterdam")),
                "second": pa.array([moment.replace(microsecond=0)], pa.timestamp("s", "UTC")),
                "money": pa.array([Decimal("1.10")], pa.decimal128(9, 2)),
                "list": pa.array([[1, 2]], pa.list_(pa.int32())),
                "raw": pa.array([b"\x00\xff"], pa.binary()),
                "nan": pa.array([float("nan")]),
                "yes": pa.array([True]),
                "none": pa.array([None], pa.string()),
                "word": pa.array(["x"]).dictionary_encode(),
                "empty": pa.array([""]),
            }
        )
    ]
    (row,) = json.loads(ask(SQL, "-o", "json").out)
    assert row == {
        "day": "2013-01-01",
        "local": "2013-01-01T05:00:00.12",
        "utc": "2013-01-01T05:00:00.12Z",
        "second": "2013-01-01T05:00:00Z",
        "money": "1.10",
        "list": [1, 2],
        "raw": "00ff",
        "nan": "nan",
        "yes": True,
        "none": None,
        "word": "x",
        "empty": "",
    }
    (line,) = csv.DictReader(io.StringIO(ask(SQL, "-o", "csv").out))
    assert line["utc"] == row["utc"]
    assert line["list"] == "[1, 2]"
    assert (line["yes"], line["none"], line["word"], line["raw"]) == ("true", "", "x", "00ff")


def test_a_table_in_a_terminal_shows_what_fits_and_counts_the_rest(ask: Run, agent: Agent) -> None:
    agent.batches = [rows(30), rows(1_000, start=30)]
    done = ask(SQL, size=(80, 30))
    lines = done.out.splitlines()
    assert len(lines) == 23
    assert "1,030 rows, 1,008 of them not shown" in done.err


def test_a_table_in_a_pipe_shows_every_row(ask: Run, agent: Agent) -> None:
    agent.batches = [rows(30), rows(1_500, start=30)]
    done = ask(SQL)
    assert len(done.out.splitlines()) == 1 + 1_530
    assert done.out.splitlines()[-1].split() == ["1529", "n1529"]
    assert "not shown" not in done.err


def test_wide_rows_fit_the_terminal(ask: Run, agent: Agent) -> None:
    agent.batches = [pa.record_batch({f"column_{n}": ["long value " * 9] for n in range(5)})]
    done = ask(SQL, size=(80, 24), variables={"NO_COLOR": "1"})
    assert max(map(len, done.out.splitlines())) <= 80
    assert "…" in done.out


def test_rows_of_many_columns_are_stacked(ask: Run, agent: Agent) -> None:
    agent.batches = [pa.record_batch({f"column_{n}": [f"value_of_{n}"] for n in range(30)})]
    done = ask(SQL, size=(80, 24))
    assert done.out.startswith("row 1\n")
    assert "column_29  value_of_29" in done.out


def test_data_cannot_steer_the_terminal(ask: Run, agent: Agent) -> None:
    agent.batches = [pa.record_batch({"name": ["\x1b]0;evil\x07\n\u202e"]})]
    done = ask(SQL, size=(80, 24), variables={"NO_COLOR": "1"})
    assert "\x1b" not in done.out
    assert "\u202e" not in done.out
    assert len(done.out.splitlines()) == 2


def test_a_refusal_names_reason_and_receipt(ask: Run, agent: Agent) -> None:
    agent.refuses = errors.AgreementMissing("no agreement", receipt=samples.RECEIPT_ID)
    done = ask(SQL)
    assert done.code == errors.Denied.kind.exit_code
    assert done.out == ""
    assert "agreement.missing" in done.err
    assert f"mesh why {samples.RECEIPT_ID}" in done.err
    told = json.loads(ask(SQL, "-o", "json").err)
    assert told["metadata"]["receipt"] == samples.RECEIPT_ID


def test_a_read_that_ends_early_fails_and_leaves_no_complete_document(
    ask: Run, agent: Agent
) -> None:
    agent.batches = [rows(2), rows(2, start=2)]
    agent.breaks_after = 2
    done = ask(SQL, "-o", "json")
    assert done.code == errors.Denied.kind.exit_code
    assert json.loads(done.err)["metadata"]["receipt"] == samples.RECEIPT_ID
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(done.out)


def test_evidence_that_comes_late_is_waited_for(
    ask: Run, control: ControlPlane, clock: Clock
) -> None:
    missing = errors.ReceiptNotFound("no such receipt")
    found = audit_pb2.GetReceiptResponse(receipt=evidence.allowed_receipt())
    control.answers["GetReceipt"] = [missing, missing, found]
    assert "masked passengers.email" in ask(SQL).err
    assert len(clock.pauses) == 2


def test_evidence_that_does_not_come_is_waited_for_three_seconds(
    ask: Run, control: ControlPlane, clock: Clock
) -> None:
    control.answers["GetReceipt"] = errors.ReceiptNotFound("no such receipt")
    done = ask(SQL)
    assert done.code == 0
    assert f"mesh why {samples.RECEIPT_ID}" in done.err
    assert 3.0 <= clock.seconds < 3.2


def test_who_may_not_see_evidence_still_gets_the_rows(ask: Run, control: ControlPlane) -> None:
    control.answers["GetReceipt"] = errors.DutyMissing("not yours to see")
    done = ask(SQL, "-o", "csv")
    assert done.code == 0
    assert done.out.count("\n") == 4
    assert "not yours to see" in done.err


def test_quiet_says_nothing_and_asks_for_no_evidence(ask: Run, control: ControlPlane) -> None:
    done = ask(SQL, "-o", "csv", "--quiet")
    assert done.err == ""
    assert "GetReceipt" not in {asked.method for asked in control.asked}


def test_the_domain_comes_from_a_three_part_name(
    run: Run, control: ControlPlane, agent: Agent
) -> None:
    serve(control, agent, "bookings", "fleet")
    run("query", "SELECT 1 FROM fleet.aircraft.planes", "--purpose", "p-1")
    assert control.last("IssueToken").domain == "fleet"


def test_the_domain_comes_from_the_agents_address(
    run: Run, control: ControlPlane, agent: Agent
) -> None:
    serve(control, agent, "bookings")
    elsewhere = samples.contract("fleet")
    elsewhere.flight_uris.append("grpc://127.0.0.1:1")
    stated = control.answers["ListProducts"]
    assert isinstance(stated, contracts_pb2.ListProductsResponse)
    stated.contracts.append(elsewhere)
    assert run("query", SQL, "--agent", agent.uri, "--purpose", "p-1").code == 0
    assert control.last("IssueToken").domain == "bookings"


def test_an_unclear_domain_is_a_usage_error_that_lists_them(
    run: Run, control: ControlPlane, agent: Agent
) -> None:
    serve(control, agent, "bookings", "fleet")
    done = run("query", SQL, "--purpose", "p-1")
    assert done.code == errors.USAGE_EXIT_CODE
    assert "bookings, fleet" in done.err
    assert agent.statements == []


def test_two_domains_in_one_statement_are_a_usage_error(
    run: Run, control: ControlPlane, agent: Agent
) -> None:
    serve(control, agent, "bookings", "fleet")
    sql = "SELECT 1 FROM fleet.aircraft.planes JOIN bookings.reservations.passengers USING (x)"
    assert run("query", sql, "--purpose", "p-1").code == errors.USAGE_EXIT_CODE


def test_an_unknown_domain_lists_the_known_ones(ask: Run) -> None:
    done = ask(SQL, "--domain", "catering")
    assert done.code == errors.NotFound.kind.exit_code
    assert "bookings" in done.err


def test_a_domain_without_an_address_says_where_to_look(run: Run, control: ControlPlane) -> None:
    control.answers["ListProducts"] = contracts_pb2.ListProductsResponse(
        contracts=[samples.contract()]
    )
    done = run("query", SQL, "--purpose", "p-1")
    assert done.code == errors.NotFound.kind.exit_code
    assert "mesh agent list --domain bookings" in done.err


def test_the_next_agent_answers_when_the_first_is_away(
    ask: Run, control: ControlPlane, agent: Agent
) -> None:
    stated = control.answers["ListProducts"]
    assert isinstance(stated, contracts_pb2.ListProductsResponse)
    stated.contracts[0].flight_uris[:] = ["grpc://127.0.0.1:1", agent.uri]
    assert ask(SQL).code == 0


def test_an_agent_that_is_away_is_unavailable(ask: Run) -> None:
    done = ask(SQL, "--agent", "grpc://127.0.0.1:1", "--domain", "bookings")
    assert done.code == errors.Unavailable.kind.exit_code
    assert "the agent at 127.0.0.1:1" in done.err


def test_a_read_without_a_purpose_is_a_usage_error(run: Run) -> None:
    assert run("query", SQL).code == errors.USAGE_EXIT_CODE


@pytest.mark.parametrize(
    ("sql", "domains"),
    [
        ("select * from a.b.c", ("a",)),
        ('SELECT * FROM "a"."b".c x JOIN a.d.e USING (k)', ("a",)),
        ("select * from a.b.c, b.c", ("a",)),
        ("select b.c.d from b.c", ()),
        ("select * from x where t = 'from a.b.c'", ()),
        ("select * from x -- from a.b.c\n", ()),
        ("/* from a.b.c */ select 1", ()),
        ("select * from (select * from a.b.c) join d.e.f using (k)", ("a", "d")),
    ],
)
def test_domains_are_found_in_relations_only(sql: str, domains: tuple[str, ...]) -> None:
    assert domains_named(sql) == domains
