"""What clients can't do to the agent: take it over, fill it up, hold it, or leave unnoticed."""

import datetime
import ipaddress
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import grpc
import pyarrow as pa
import pyarrow.flight
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain_agent.server import AddressRefused, ServerSettings, Tls, check_address
from mesh import errors
from mesh.arrow import flight_pb2 as flight
from mesh.arrow import flight_sql_pb2 as sql
from mesh.arrow.flight_pb2_grpc import FlightServiceStub
from tests.unit.flight import reader_that_waits, wire
from tests.unit.flight.memory import ENDLESS, SILENT, MemoryReads
from tests.unit.flight.serving import SETTINGS, Endpoint, metadata, serving

ANA, BEN, EVE = metadata("ana"), metadata("ben"), metadata("eve")
MIB = 1024 * 1024
WIDE = pa.table({"id": pa.array(range(256 * 1024), pa.int64())})
TABLES = {"delays": WIDE.slice(0, 100), ENDLESS: WIDE, SILENT: WIDE.slice(0, 100)}


@pytest.fixture
def reads() -> MemoryReads:
    return MemoryReads(TABLES)


@pytest.fixture
def endpoint(reads: MemoryReads) -> Iterator[Endpoint]:
    with serving(reads) as endpoint:
        yield endpoint


@pytest.fixture
def channel(endpoint: Endpoint) -> Iterator[grpc.Channel]:
    with endpoint.channel() as channel:
        yield channel


def resident() -> int:
    """Bytes of memory that this process, client and server in one, holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize("query", ["SELECT * FROM endless", "SELECT * FROM silent"])
def test_killed_client_leaves_an_aborted_read(
    endpoint: Endpoint, reads: MemoryReads, channel: grpc.Channel, query: str
) -> None:
    ticket = wire.info(channel, ANA, query).endpoint[0].ticket.ticket.hex()
    arguments = [str(endpoint.port), ticket, "2", dict(ANA)["authorization"]]
    with subprocess.Popen(
        [sys.executable, "-m", reader_that_waits.__name__, *arguments], stdout=subprocess.PIPE
    ) as client:
        try:
            assert client.stdout is not None
            assert client.stdout.readline() == b"reading\n"
            assert not reads.reading(1).closed.is_set()
        finally:
            client.kill()
    assert reads.reading(1).closed.wait(timeout=5)
    assert reads.reading(1).closes == ["client_left"]


@pytest.mark.parametrize("query", ["SELECT * FROM endless", "SELECT * FROM silent"])
def test_client_that_cancels_leaves_an_aborted_read(
    reads: MemoryReads, channel: grpc.Channel, query: str
) -> None:
    call = wire.stream(channel, ANA, query)
    next(call)
    call.cancel()
    assert reads.reading(1).closed.wait(timeout=5)
    assert reads.reading(1).closes == ["client_left"]


def test_deadline_of_the_client_ends_the_read(reads: MemoryReads, channel: grpc.Channel) -> None:
    ticket = wire.info(channel, ANA, "SELECT * FROM silent").endpoint[0].ticket
    with pytest.raises(grpc.RpcError) as late:
        list(FlightServiceStub(channel).DoGet(ticket, metadata=ANA, timeout=0.5))
    assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    assert reads.reading(1).closed.wait(timeout=5)
    assert reads.reading(1).closes == ["client_left"]


def test_client_that_never_reads_is_cut_off(reads: MemoryReads) -> None:
    before = resident()
    with (
        serving(reads, replace(SETTINGS, stall_seconds=0.3)) as endpoint,
        endpoint.channel() as channel,
    ):
        call = wire.stream(channel, ANA, "SELECT * FROM endless")
        assert reads.reading(1).closed.wait(timeout=20)
        assert reads.reading(1).closes == ["client_left"]
        assert reads.reading(1).sent < 16
        assert wire.is_serving(channel)
        call.cancel()
    assert resident() - before < 256 * MIB


def test_streams_beyond_the_limit_are_refused_and_health_still_answers(
    reads: MemoryReads, channel: grpc.Channel
) -> None:
    half = SETTINGS.streams // 2
    anas = [wire.stream(channel, ANA, "SELECT * FROM silent") for _ in range(half)]
    for call in anas:
        next(call)
    greedy = wire.refusal(lambda: wire.stream(channel, ANA))
    assert isinstance(greedy, errors.AgentOverloaded)
    assert f"{half} streams" in greedy.message
    others = [
        wire.stream(channel, who, "SELECT * FROM silent")
        for who in (BEN, *(metadata(f"reader{number}") for number in range(half - 1)))
    ]
    for call in others:
        next(call)
    late = wire.refusal(lambda: wire.stream(channel, EVE))
    assert isinstance(late, errors.AgentOverloaded)
    assert wire.is_serving(channel)
    for call in (*anas, *others):
        call.cancel()
    for number in range(1, 2 * half + 1):
        assert reads.reading(number).closed.wait(timeout=20)


def test_two_callers_leave_a_stream_to_a_third(channel: grpc.Channel) -> None:
    calls = []
    for who in (ANA, BEN):
        for _ in range(SETTINGS.streams):
            call = wire.stream(channel, who, "SELECT * FROM silent")
            try:
                next(call)
            except grpc.RpcError as refused:
                assert refused.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                break
            calls.append(call)
    assert SETTINGS.streams // 2 < len(calls) < SETTINGS.streams
    assert len(list(wire.stream(channel, EVE))) > 0
    for call in calls:
        call.cancel()


def test_refused_stream_does_not_use_up_its_ticket(channel: grpc.Channel) -> None:
    stub = FlightServiceStub(channel)
    calls = [
        wire.stream(channel, ANA, "SELECT * FROM silent") for _ in range(SETTINGS.streams // 2)
    ]
    for call in calls:
        next(call)
    ticket = wire.info(channel, ANA).endpoint[0].ticket
    refused = wire.refusal(lambda: stub.DoGet(ticket, metadata=ANA, timeout=20))
    assert isinstance(refused, errors.AgentOverloaded)
    for call in calls:
        call.cancel()
    outcomes = (outcome(stub, ticket) for _ in range(1_000))
    last = next(found for found in outcomes if not isinstance(found, errors.AgentOverloaded))
    assert last is None


def outcome(stub: FlightServiceStub, ticket: flight.Ticket) -> errors.MeshError | None:
    try:
        return wire.refusal(lambda: stub.DoGet(ticket, metadata=ANA, timeout=20))
    except AssertionError:
        return None


@pytest.mark.parametrize("method", ["GetFlightInfo", "DoGet", "DoPut", "DoAction"])
def test_clients_that_send_nothing_do_not_keep_the_agents_threads(
    reads: MemoryReads, method: str
) -> None:
    settings = replace(SETTINGS, message_seconds=0.2)
    released = threading.Event()
    with serving(reads, settings) as endpoint, endpoint.channel() as channel:
        call = wire.raw(channel, method)
        silent = [call(waiting(released), metadata=ANA) for _ in range(2 * settings.workers)]
        assert wire.is_serving(channel)
        for held in silent:
            with pytest.raises(grpc.RpcError):
                list(held)
        released.set()


def waiting(released: threading.Event) -> Iterator[bytes]:
    """Requests that never come."""
    released.wait()
    yield from ()


def test_message_over_the_limit_is_refused(channel: grpc.Channel) -> None:
    upload = flight.FlightData(data_body=bytes(8 * MIB))
    error = wire.refusal(
        lambda: FlightServiceStub(channel).DoPut(iter([upload]), metadata=ANA, timeout=20)
    )
    assert error.kind is errors.Exhausted.kind
    assert wire.is_serving(channel)


def test_compressed_message_over_the_limit_is_refused(channel: grpc.Channel) -> None:
    before = resident()
    upload = flight.FlightData(data_body=bytes(64 * MIB))
    error = wire.refusal(
        lambda: FlightServiceStub(channel).DoPut(
            iter([upload]), metadata=ANA, timeout=20, compression=grpc.Compression.Gzip
        )
    )
    assert error.kind is errors.Exhausted.kind
    assert resident() - before < 256 * MIB
    assert wire.is_serving(channel)


def test_metadata_over_the_limit_is_refused(channel: grpc.Channel) -> None:
    huge = (*ANA, ("x-mesh-agreement", "a" * MIB))
    error = wire.refusal(lambda: wire.info(channel, huge))
    assert error.kind is errors.Exhausted.kind
    assert wire.is_serving(channel)


def test_compressed_parameters_are_refused_before_they_unpack(channel: grpc.Channel) -> None:
    zeros = pa.record_batch({"0": pa.array([bytes(512 * MIB)], pa.large_binary())})
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, zeros.schema, options=options) as writer:
        writer.write_batch(zeros)
    del zeros
    bomb = list(frames(sink.getvalue()))
    assert sum(len(frame.data_body) for frame in bomb) < MIB
    before = resident()
    handle = wire.prepared(channel, ANA, "SELECT * FROM delays WHERE id = ?")
    command = sql.CommandPreparedStatementQuery(prepared_statement_handle=handle)
    bomb[0].flight_descriptor.CopyFrom(wire.descriptor(command))
    error = wire.refusal(
        lambda: FlightServiceStub(channel).DoPut(iter(bomb), metadata=ANA, timeout=20)
    )
    assert isinstance(error, errors.StatementParametersInvalid)
    assert "compressed" in error.message
    assert resident() - before < 64 * MIB


def frames(stream: pa.Buffer) -> Iterator[flight.FlightData]:
    reader = pa.ipc.MessageReader.open_stream(stream)
    for message in reader:
        header = message.metadata.to_pybytes()
        body = message.body.to_pybytes() if message.body else b""
        yield flight.FlightData(data_header=header, data_body=body)


@pytest.mark.parametrize(
    "address", ["0.0.0.0:0", "[::]:0", "192.0.2.7:50051", "mesh.example:1", ":0"]
)
def test_address_that_others_reach_needs_tls(address: str) -> None:
    with pytest.raises(AddressRefused, match="certificate"):
        check_address(address, None)


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.8.8.8:1", "[::1]:0", "localhost:0"])
def test_loopback_needs_no_tls(address: str) -> None:
    check_address(address, None)


def test_pool_must_leave_threads_beside_streams() -> None:
    with pytest.raises(ValueError, match="more than 8"):
        ServerSettings(address="127.0.0.1:0", workers=8)


def test_tls_is_served_with_the_certificate_given(reads: MemoryReads) -> None:
    certificate, key = self_signed()
    with (
        serving(reads, replace(SETTINGS, tls=Tls(certificate, key))) as endpoint,
        pyarrow.flight.FlightClient(
            f"grpc+tls://127.0.0.1:{endpoint.port}", tls_root_certs=certificate
        ) as client,
    ):
        options = pyarrow.flight.FlightCallOptions(
            headers=[(name.encode(), value.encode()) for name, value in ANA]
        )
        assert len(list(client.list_actions(options))) == 4


def self_signed() -> tuple[bytes, bytes]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "agent")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return (
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
