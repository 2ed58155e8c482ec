"""Whatever a reader writes, wherever they write it: no file of evidence ever holds it."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.arrow.flight_pb2_grpc import FlightServiceStub
from mesh.errors import MeshError
from mesh.wire.status import from_rpc_error
from tests.e2e.town import PURPOSE, Town, rows, wait_until
from tests.unit.enforcement.gate.words import PLACES
from tests.unit.flight import wire

# As long as no chance puts it into ciphertext.
MARK = "zqxjqzxjzqjx"
WORDS = st.text("zqxj", max_size=12).map(lambda tail: MARK + tail)
ITS_OWN = [
    "SELECT '{}' FROM {table}",
    "SELECT * FROM {table} WHERE email = '{}'",
    "SELECT * FROM {table} WHERE {} = 1",
    "SELECT email AS {} FROM {table} ORDER BY {}",
    "SELECT p.{} FROM {table} AS p",
    "SELECT {}.email FROM {table} AS {} LIMIT 1",
    "WITH {} AS (FROM {table}) SELECT count(*) AS {} FROM {}",
    "SELECT CAST('{}' AS INTEGER) FROM {table}",
    "SELECT TRY_CAST(email AS STRUCT({} INTEGER)) FROM {table}",
    "SELECT * FROM '/tmp/{}.parquet'",
    "SELECT * FROM read_text('{}')",
    "SELECT email::{} FROM {table}",
    "SELECT email -- {}\nFROM {table} LIMIT 1",
    "SELECT lower(email, '{}') FROM {table}",
    "SELECT regexp_matches(email, '({}') FROM {table}",
    "SELECT ? AS {} FROM {table}",
]


@pytest.fixture
def agent(town: Town) -> Iterator[grpc.Channel]:
    """A channel to the agent of bookings."""
    with grpc.insecure_channel(town.reader().uri.removeprefix("grpc://")) as channel:
        yield channel


def asked(agent: grpc.Channel, metadata: wire.Metadata, sql: str) -> str:
    """The receipt of a statement, read to its end or refused on the way."""
    try:
        ticket = wire.info(agent, metadata, sql).endpoint[0].ticket
        call = FlightServiceStub(agent).DoGet(ticket, metadata=metadata, timeout=20)
        receipt = dict(call.initial_metadata()).get("x-mesh-receipt", "")
        for _ in call:
            pass
    except grpc.RpcError as refused:
        return from_rpc_error(refused, "the agent").metadata.get("receipt", "")
    return str(receipt)


def evidence(folder: Path) -> Iterator[tuple[Path, bytes]]:
    """What the agent and the control plane keep of what was read, as it lies on the disk."""
    for part in (folder / "bookings" / "state" / "spool", folder / "control-plane"):
        for path in part.rglob("*"):
            if path.is_file():
                yield path, path.read_bytes().lower()


def test_no_word_of_a_reader_is_in_any_file_of_evidence(town: Town, agent: grpc.Channel) -> None:
    token = town.reader().token
    receipts: list[str] = []

    @settings(max_examples=150)
    @given(
        st.sampled_from(PLACES + ITS_OWN),
        WORDS,
        st.sampled_from(["{}", '"{}@example.org"']),
        st.sampled_from([PURPOSE, "marketing", "{}", ""]),
        st.sampled_from(["", "{}", "{},{}"]),
    )
    def ask(place: str, word: str, written: str, purpose: str, agreement: str) -> None:
        sql = place.replace("{table}", "reservations.passengers")
        named = {"x-mesh-purpose": purpose, "x-mesh-agreement": agreement, "user-agent": "{}"}
        headers = [(key, value.replace("{}", word)) for key, value in named.items() if value]
        metadata = (("authorization", f"Bearer {token}"), *headers)
        receipts.append(asked(agent, metadata, sql.replace("{}", written.replace("{}", word))))

    ask()
    found = [receipt for receipt in receipts if receipt]
    assert len(found) > 100
    wait_until(lambda: shipped(town, found[-1]), "the evidence arrives")
    files = dict(evidence(town.mesh.folder))
    for kept in (b"read.completed", b"read.refused", b"purpose.unknown", b"statement.invalid"):
        assert any(kept in content for content in files.values())
    assert not [path for path, content in files.items() if MARK.encode() in content]


def shipped(town: Town, receipt: str) -> bool:
    """Whether the control plane has the receipt."""
    entries = rows(town.mesh, town.ada, "audit", "list", "--kind", "read", "--limit", "20")
    return receipt in {entry["reference"] for entry in entries}


@pytest.mark.parametrize(
    ("sql", "purpose", "kept"),
    [
        (f'SELECT "{MARK}@a.org" FROM reservations.passengers', PURPOSE, "SELECT a1 FROM"),
        ("SELECT * FROM '/tmp/zqxjqzxjzqjx'", PURPOSE, "A relation is no dataset"),
        ("SELECT 1", MARK, "The purpose is not registered"),
        ("SELECT email FROM reservations.passengers", "marketing", "the reader"),
    ],
)
def test_the_reader_is_told_in_full_and_an_auditor_what_is_safe(
    town: Town, agent: grpc.Channel, sql: str, purpose: str, kept: str
) -> None:
    metadata = (("authorization", f"Bearer {town.reader().token}"), ("x-mesh-purpose", purpose))
    with pytest.raises(grpc.RpcError) as caught:
        wire.info(agent, metadata, sql)
    refused: MeshError = from_rpc_error(caught.value, "the agent")
    receipt = refused.metadata["receipt"]
    wait_until(lambda: shipped(town, receipt), "the evidence arrives")
    told = town.mesh.mesh(town.ada, "why", receipt, "-o", "json").stdout
    assert kept in told
    assert MARK not in told
    if MARK in purpose or "FROM '" in sql:
        assert MARK in refused.message
