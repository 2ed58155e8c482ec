"""Parameters: one plain row, or a refusal."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain_agent.flight.parameters import MAX_BYTES, uploaded
from mesh.arrow.flight_pb2 import FlightData
from mesh.errors import StatementParametersInvalid

ROW = pa.record_batch(
    {"0": pa.array([42], pa.int64()), "1": ["text"], "2": pa.array([None], pa.date32())}
)


def frames(*batches: pa.RecordBatch, compression: str | None = None) -> list[FlightData]:
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, batches[0].schema, options=options) as writer:
        for batch in batches:
            writer.write_batch(batch)
    messages = pa.ipc.MessageReader.open_stream(sink.getvalue())
    return [
        FlightData(
            data_header=message.metadata.to_pybytes(),
            data_body=message.body.to_pybytes() if message.body else b"",
        )
        for message in messages
    ]


def test_row_is_taken() -> None:
    stream = uploaded(frames(ROW))
    assert stream is not None
    assert pa.ipc.open_stream(stream).read_all().to_batches() == [ROW]


def test_empty_batches_around_the_row_are_passed_over() -> None:
    empty = ROW.slice(0, 0)
    stream = uploaded([FlightData(), *frames(empty, ROW, empty)])
    assert stream is not None
    assert pa.ipc.open_stream(stream).read_all().to_batches() == [ROW]


def test_nothing_bound_is_no_parameters() -> None:
    assert uploaded([]) is None
    assert uploaded(frames(pa.RecordBatch.from_pylist([{}], schema=pa.schema([])))) is None


@pytest.mark.parametrize(
    "upload",
    [
        frames(pa.record_batch({"0": [1, 2]})),
        frames(ROW, ROW),
        frames(ROW.slice(0, 0)),
        frames(ROW)[:1],
    ],
    ids=["two", "twice one", "an empty batch", "none"],
)
def test_other_than_one_row_is_refused(upload: list[FlightData]) -> None:
    with pytest.raises(StatementParametersInvalid, match="one row"):
        uploaded(upload)


@pytest.mark.parametrize("compression", ["zstd", "lz4"])
def test_compressed_row_is_refused(compression: str) -> None:
    with pytest.raises(StatementParametersInvalid, match="compressed"):
        uploaded(frames(ROW, compression=compression))


def test_dictionary_is_refused() -> None:
    coded = pa.record_batch({"0": pa.array(["a"]).dictionary_encode()})
    with pytest.raises(StatementParametersInvalid, match="plain record batches"):
        uploaded(frames(coded))


def test_row_without_a_schema_is_refused() -> None:
    with pytest.raises(StatementParametersInvalid, match="plain record batches"):
        uploaded(frames(ROW)[1:])


def test_large_upload_is_refused() -> None:
    with pytest.raises(StatementParametersInvalid, match="bytes"):
        uploaded(frames(pa.record_batch({"0": ["x" * MAX_BYTES]})))


@given(st.lists(st.tuples(st.binary(max_size=80), st.binary(max_size=80)), max_size=3))
def test_any_bytes_are_refused_or_nothing(parts: list[tuple[bytes, bytes]]) -> None:
    upload = [FlightData(data_header=header, data_body=body) for header, body in parts]
    accepted_or_refused(upload)


@settings(max_examples=500)
@given(st.integers(0, 1), st.booleans(), st.integers(0, 2_000), st.integers(1, 255))
def test_flipped_bits_are_refused_or_harmless(
    part: int, in_body: bool, place: int, change: int
) -> None:
    upload = frames(ROW)
    data = bytearray(upload[part].data_body if in_body else upload[part].data_header)
    if data:
        data[place % len(data)] ^= change
    if in_body:
        upload[part].data_body = bytes(data)
    else:
        upload[part].data_header = bytes(data)
    accepted_or_refused(upload)


def accepted_or_refused(upload: list[FlightData]) -> None:
    try:
        stream = uploaded(upload)
    except StatementParametersInvalid:
        return
    if stream is not None:
        table = pa.ipc.open_stream(stream).read_all()
        assert str(table.schema)
        table.validate(full=True)
        assert table.num_rows == 1
