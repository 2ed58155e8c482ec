"""The Flight service on the wire: raw gRPC, and pyarrow's Flight client."""

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pyarrow as pa
import pyarrow.flight
import pytest
from google.protobuf import any_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from domain_agent.flight.commands import encode
from mesh import errors
from mesh.arrow import flight_pb2 as flight
from mesh.arrow import flight_sql_pb2 as sql
from mesh.arrow.flight_pb2_grpc import FlightServiceStub
from tests.unit.flight import wire
from tests.unit.flight.memory import ENDLESS, MemoryReading, MemoryReads
from tests.unit.flight.serving import Endpoint, metadata, serving, token

TABLE = pa.table({"id": pa.array(range(1_000), pa.int64()), "carrier": ["AA", "BB"] * 500})
READS = MemoryReads({"delays": TABLE, "moving": TABLE, ENDLESS: TABLE})
METHODS = [
    str(method.name) for method in flight.DESCRIPTOR.services_by_name["FlightService"].methods
]
LEFT_OUT = ["PollFlightInfo", "DoExchange"]
ANA, BEN = metadata("ana"), metadata("ben")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[Endpoint]:
    with serving(READS) as endpoint:
        yield endpoint


@pytest.fixture(scope="module")
def channel(endpoint: Endpoint) -> Iterator[grpc.Channel]:
    with endpoint.channel() as channel:
        yield channel


@pytest.fixture(scope="module")
def client(endpoint: Endpoint) -> Iterator[pyarrow.flight.FlightClient]:
    with pyarrow.flight.FlightClient(endpoint.uri) as client:
        yield client


@pytest.fixture(scope="module")
def options() -> pyarrow.flight.FlightCallOptions:
    return pyarrow.flight.FlightCallOptions(
        headers=[(key.encode(), value.encode()) for key, value in ANA]
    )


def command(query: str = wire.DELAYS) -> pyarrow.flight.FlightDescriptor:
    return pyarrow.flight.FlightDescriptor.for_command(
        encode(sql.CommandStatementQuery(query=query))
    )


def test_pyarrow_reads_what_the_info_promised(
    client: pyarrow.flight.FlightClient, options: pyarrow.flight.FlightCallOptions
) -> None:
    info = client.get_flight_info(command(), options)
    reader = client.do_get(info.endpoints[0].ticket, options)
    assert reader.schema == info.schema == client.get_schema(command(), options).schema
    assert reader.read_all() == TABLE
    assert list(client.list_flights(options=options)) == []
    assert {action.type for action in client.list_actions(options)} == {
        "CreatePreparedStatement",
        "ClosePreparedStatement",
        "CancelFlightInfo",
        "CloseSession",
    }


def test_pyarrow_may_log_in_with_the_token_as_password(
    client: pyarrow.flight.FlightClient,
) -> None:
    bearer = token("ana")
    assert client.authenticate_basic_token("anyone", bearer) == (
        b"authorization",
        b"Bearer " + bearer.encode(),
    )
    with pytest.raises(pyarrow.flight.FlightUnauthenticatedError, match="forged"):
        client.authenticate_basic_token("anyone", bearer + "0")


@pytest.mark.parametrize("padding", ["", "a", "ab"])
def test_handshake_understands_basic_without_padding(channel: grpc.Channel, padding: str) -> None:
    bearer = token("ana" + padding)
    basic = base64.b64encode(f"x:{bearer}".encode()).decode().rstrip("=")
    call = FlightServiceStub(channel).Handshake(
        iter(()), metadata=(("authorization", f"Basic {basic}"),), timeout=20
    )
    assert dict(call.initial_metadata())["authorization"] == f"Bearer {bearer}"
    assert list(call) == []


@pytest.mark.parametrize(
    ("authorization", "expected"),
    [
        ("", errors.TokenMissing),
        ("Bearer", errors.TokenMissing),
        ("Digest abc", errors.TokenMissing),
        ("Basic %%%", errors.TokenInvalid),
        ("Basic " + base64.b64encode(b"no colon").decode(), errors.TokenInvalid),
        ("Basic " + base64.b64encode(b"\xff:\xff").decode(), errors.TokenInvalid),
    ],
)
def test_handshake_without_a_good_token_is_refused(
    channel: grpc.Channel, authorization: str, expected: type[errors.MeshError]
) -> None:
    sent = (("authorization", authorization),)
    call = FlightServiceStub(channel).Handshake
    assert isinstance(wire.refusal(lambda: call(iter(()), metadata=sent, timeout=20)), expected)


@pytest.mark.parametrize("method", [name for name in METHODS if name not in LEFT_OUT])
def test_no_method_answers_without_a_token(channel: grpc.Channel, method: str) -> None:
    error = wire.refusal(lambda: raw_call(channel, method, b"", ()))
    assert isinstance(error, errors.TokenMissing)


@pytest.mark.parametrize("method", LEFT_OUT)
def test_method_left_out_is_unimplemented(channel: grpc.Channel, method: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        list(raw_call(channel, method, b"", ANA))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_two_different_tokens_in_one_call_are_refused(channel: grpc.Channel) -> None:
    both = (*ANA, *BEN)
    assert isinstance(wire.refusal(lambda: wire.info(channel, both)), errors.TokenInvalid)


def test_two_purposes_in_one_call_are_refused(channel: grpc.Channel) -> None:
    both = (*ANA, ("x-mesh-purpose", "marketing"))
    assert isinstance(wire.refusal(lambda: wire.info(channel, both)), errors.RequestInvalid)


@pytest.mark.parametrize(
    ("sent", "expected"),
    [((), 0), (("0",), 0), (("17",), 17), (("017", "017"), 17), (("9" * 18,), 10**18 - 1)],
)
def test_the_least_revision_reaches_the_read(
    channel: grpc.Channel, sent: tuple[str, ...], expected: int
) -> None:
    least = (*ANA, *(("x-mesh-revision", one) for one in sent))
    list(wire.stream(channel, least))
    assert READS.readings[-1].context.revision == expected


@pytest.mark.parametrize(
    "sent", [("",), ("-1",), ("+1",), ("1.0",), ("1e3",), ("x",), ("0x1",), ("9" * 19,), ("1", "2")]
)
def test_what_is_no_whole_number_is_no_revision(
    channel: grpc.Channel, sent: tuple[str, ...]
) -> None:
    odd = (*ANA, *(("x-mesh-revision", one) for one in sent))
    error = wire.refusal(lambda: wire.info(channel, odd))
    assert isinstance(error, errors.RequestInvalid)
    assert error.metadata["field"] == "x-mesh-revision"


def test_receipt_comes_before_the_data(channel: grpc.Channel) -> None:
    call = wire.stream(channel, ANA)
    receipt = dict(call.initial_metadata())["x-mesh-receipt"]
    list(call)
    assert receipt == READS.readings[-1].receipt
    assert READS.readings[-1].closes == [None]


def test_refusal_carries_its_receipt(channel: grpc.Channel) -> None:
    revoked = metadata("ana", purpose="revoked")
    ticket = wire.info(channel, revoked).endpoint[0].ticket
    stub = FlightServiceStub(channel)
    error = wire.refusal(lambda: stub.DoGet(ticket, metadata=revoked, timeout=20))
    assert isinstance(error, errors.AgreementRevoked)
    assert error.metadata["receipt"] == "refused-2"


def test_ticket_is_its_owners_and_good_for_one_read(channel: grpc.Channel) -> None:
    stub = FlightServiceStub(channel)
    ticket = wire.info(channel, ANA).endpoint[0].ticket
    stolen = wire.refusal(lambda: stub.DoGet(ticket, metadata=BEN, timeout=20))
    assert isinstance(stolen, errors.TicketInvalid)
    assert len(list(stub.DoGet(ticket, metadata=ANA, timeout=20))) == 2
    again = wire.refusal(lambda: stub.DoGet(ticket, metadata=ANA, timeout=20))
    assert isinstance(again, errors.TicketInvalid)
    assert stolen.message == again.message


def test_info_has_no_expiration_so_that_clients_do_not_read_twice(channel: grpc.Channel) -> None:
    assert not wire.info(channel, ANA).endpoint[0].HasField("expiration_time")


def test_prepared_statement_of_another_principal_is_unknown(channel: grpc.Channel) -> None:
    handle = wire.prepared(channel, ANA)
    asked = wire.descriptor(sql.CommandPreparedStatementQuery(prepared_statement_handle=handle))
    closing = encode(sql.ActionClosePreparedStatementRequest(prepared_statement_handle=handle))
    stub = FlightServiceStub(channel)
    for attempt in (
        lambda: stub.GetFlightInfo(asked, metadata=BEN, timeout=20),
        lambda: stub.GetSchema(asked, metadata=BEN, timeout=20),
        lambda: stub.DoPut(iter([flight.FlightData(flight_descriptor=asked)]), metadata=BEN),
        lambda: wire.act(channel, BEN, "ClosePreparedStatement", closing),
    ):
        assert isinstance(wire.refusal(attempt), errors.TicketInvalid)
    assert wire.act(channel, ANA, "ClosePreparedStatement", closing) == []
    gone = wire.refusal(lambda: stub.GetFlightInfo(asked, metadata=ANA, timeout=20))
    assert isinstance(gone, errors.TicketInvalid)


def test_changed_schema_ends_the_read_before_its_first_batch(channel: grpc.Channel) -> None:
    stub = FlightServiceStub(channel)
    ticket = wire.info(channel, ANA, "SELECT * FROM moving").endpoint[0].ticket
    READS.change("moving", TABLE.drop_columns("carrier"))
    error = wire.refusal(lambda: stub.DoGet(ticket, metadata=ANA, timeout=20))
    assert isinstance(error, errors.StatementStale)
    assert READS.readings[-1].closes == ["statement.stale"]
    assert READS.readings[-1].sent == 0


def test_running_stream_can_be_cancelled_by_its_owner_alone(channel: grpc.Channel) -> None:
    info = wire.info(channel, ANA, "SELECT * FROM endless")
    call = FlightServiceStub(channel).DoGet(info.endpoint[0].ticket, metadata=ANA, timeout=60)
    next(call)
    reading = READS.readings[-1]
    assert cancelled(channel, BEN, info) == flight.CANCEL_STATUS_NOT_CANCELLABLE
    assert not reading.closed.is_set()
    assert cancelled(channel, ANA, info) == flight.CANCEL_STATUS_CANCELLED
    with pytest.raises(grpc.RpcError) as end:
        list(call)
    assert end.value.code() == grpc.StatusCode.CANCELLED
    assert reading.closes == ["cancelled"]
    assert cancelled(channel, ANA, info) == flight.CANCEL_STATUS_NOT_CANCELLABLE


def test_a_stream_that_ends_while_it_is_cancelled_does_not_end_as_a_whole_one(
    channel: grpc.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = threading.Event()
    close = MemoryReading.close

    def close_slowly(reading: MemoryReading, reason: str | None) -> None:
        close(reading, reason)
        if reason != "cancelled":
            ended.set()
        assert ended.wait(20)

    monkeypatch.setattr(MemoryReading, "close", close_slowly)
    info = wire.info(channel, ANA, "SELECT * FROM endless")
    call = FlightServiceStub(channel).DoGet(info.endpoint[0].ticket, metadata=ANA, timeout=60)
    next(call)
    with ThreadPoolExecutor(1) as other:
        other.submit(cancelled, channel, ANA, info)
        with pytest.raises(grpc.RpcError) as end:
            list(call)
    assert end.value.code() == grpc.StatusCode.CANCELLED


def test_ticket_can_be_cancelled_before_it_is_used(channel: grpc.Channel) -> None:
    info = wire.info(channel, ANA)
    assert cancelled(channel, ANA, info) == flight.CANCEL_STATUS_CANCELLED
    stub = FlightServiceStub(channel)
    error = wire.refusal(lambda: stub.DoGet(info.endpoint[0].ticket, metadata=ANA, timeout=20))
    assert isinstance(error, errors.TicketInvalid)


def test_session_closes(channel: grpc.Channel) -> None:
    (body,) = wire.act(channel, ANA, "CloseSession", b"")
    result = flight.CloseSessionResult.FromString(body)
    assert result.status == flight.CloseSessionResult.CLOSED


@pytest.mark.parametrize("kind", ["BeginTransaction", "SetSessionOptions", "CancelQuery", ""])
def test_action_left_out_is_unimplemented(channel: grpc.Channel, kind: str) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        wire.act(channel, ANA, kind, b"")
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_transaction_is_refused(channel: grpc.Channel) -> None:
    asked = wire.descriptor(sql.CommandStatementQuery(query=wire.DELAYS, transaction_id=b"t"))
    stub = FlightServiceStub(channel)
    error = wire.refusal(lambda: stub.GetFlightInfo(asked, metadata=ANA, timeout=20))
    assert isinstance(error, errors.RequestInvalid)


@pytest.mark.parametrize(
    "written",
    [
        sql.CommandStatementUpdate(query="DELETE FROM delays"),
        sql.CommandPreparedStatementUpdate(prepared_statement_handle=b"x"),
        sql.CommandStatementIngest(table="delays"),
    ],
    ids=lambda message: message.DESCRIPTOR.name,
)
def test_write_is_refused(channel: grpc.Channel, written: object) -> None:
    upload = iter([flight.FlightData(flight_descriptor=wire.descriptor(written))])
    stub = FlightServiceStub(channel)
    error = wire.refusal(lambda: stub.DoPut(upload, metadata=ANA, timeout=20))
    assert isinstance(error, errors.StatementWritesRefused)


@pytest.mark.parametrize(
    "asked",
    [
        sql.CommandGetPrimaryKeys(table="delays"),
        sql.CommandGetExportedKeys(table="delays"),
        sql.CommandGetImportedKeys(table="delays"),
        sql.CommandGetCrossReference(pk_table="delays", fk_table="delays"),
        sql.CommandGetSqlInfo(),
        sql.CommandGetXdbcTypeInfo(),
        sql.CommandGetTables(include_schema=True),
        sql.CommandGetTables(table_types=["VIEW"]),
        sql.CommandGetDbSchemas(catalog="elsewhere"),
    ],
    ids=lambda message: message.DESCRIPTOR.name,
)
def test_metadata_has_the_schema_that_was_promised(
    client: pyarrow.flight.FlightClient,
    options: pyarrow.flight.FlightCallOptions,
    asked: object,
) -> None:
    described = pyarrow.flight.FlightDescriptor.for_command(encode(asked))  # type: ignore[arg-type]
    info = client.get_flight_info(described, options)
    reader = client.do_get(info.endpoints[0].ticket, options)
    assert reader.schema == info.schema == client.get_schema(described, options).schema
    reader.read_all().validate(full=True)


@pytest.mark.parametrize("name", ["", "arrow.flight.protocol.FlightService"])
def test_health_is_checked_but_not_watched(channel: grpc.Channel, name: str) -> None:
    assert wire.is_serving(channel, name)
    with pytest.raises(grpc.RpcError) as refused:
        list(wire.health(channel).Watch(health_pb2.HealthCheckRequest(), timeout=20))
    assert refused.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_reflection_shows_the_services(channel: grpc.Channel) -> None:
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) == {
        "arrow.flight.protocol.FlightService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    found = database.FindFileContainingSymbol("arrow.flight.protocol.FlightService")
    assert found.package == "arrow.flight.protocol"


def commands() -> st.SearchStrategy[bytes]:
    """Any bytes, known commands with any content, and known commands cut short."""
    names = sorted(sql.DESCRIPTOR.message_types_by_name)
    prefix = "type.googleapis.com/arrow.flight.protocol.sql."

    def packed(name: str, value: bytes) -> bytes:
        return any_pb2.Any(type_url=prefix + name, value=value).SerializeToString()

    known = st.builds(packed, st.sampled_from(names), st.binary(max_size=64))
    cut = st.builds(lambda data, size: data[:size], known, st.integers(0, 100))
    return st.one_of(st.binary(max_size=200), known, cut)


def requests() -> st.SearchStrategy[bytes]:
    """Requests of every method, from broken protobuf to well-formed nonsense."""
    content = commands()
    kinds = st.sampled_from([0, 1, 2])
    described = st.builds(
        lambda kind, cmd: flight.FlightDescriptor(type=kind, cmd=cmd), kinds, content
    )
    actions = st.sampled_from(
        ["CreatePreparedStatement", "ClosePreparedStatement", "CancelFlightInfo", "x"]
    )
    messages = st.one_of(
        described,
        st.builds(lambda ticket: flight.Ticket(ticket=ticket), content),
        st.builds(lambda kind, body: flight.Action(type=kind, body=body), actions, content),
        st.builds(
            lambda found, header, body: flight.FlightData(
                flight_descriptor=found, data_header=header, data_body=body
            ),
            described,
            st.binary(max_size=100),
            st.binary(max_size=100),
        ),
    )
    return st.one_of(st.binary(max_size=200), messages.map(lambda found: found.SerializeToString()))


TYPED = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.UNIMPLEMENTED,
}


@settings(max_examples=300, deadline=None)
@given(method=st.sampled_from(METHODS), request=requests())
def test_any_bytes_get_a_typed_status(channel: grpc.Channel, method: str, request: bytes) -> None:
    try:
        list(raw_call(channel, method, request, ANA))
    except grpc.RpcError as error:
        assert error.code() in TYPED, (method, request, error)


def raw_call(
    channel: grpc.Channel, method: str, request: bytes, sent: wire.Metadata
) -> Iterator[bytes]:
    answer: Iterator[bytes] = wire.raw(channel, method)(iter((request,)), metadata=sent, timeout=20)
    return answer


def cancelled(
    channel: grpc.Channel, sent: wire.Metadata, info: flight.FlightInfo
) -> flight.CancelStatus.ValueType:
    request = flight.CancelFlightInfoRequest(info=info)
    (body,) = wire.act(channel, sent, "CancelFlightInfo", request.SerializeToString())
    return flight.CancelFlightInfoResult.FromString(body).status
