"""Frames are what protobuf would have written."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain_agent.flight.framing import batch_frame, encapsulated, schema_frame, split, unwrapped
from domain_agent.flight.ports import Batch
from mesh.arrow.flight_pb2 import FlightData


@given(st.binary(max_size=300), st.binary(max_size=300))
def test_frame_is_the_message(header: bytes, body: bytes) -> None:
    for buffer in (body, memoryview(body)):
        frame = FlightData.FromString(batch_frame(Batch(header, buffer, 1)))
        assert frame == FlightData(data_header=header, data_body=body)


def test_large_body_is_framed() -> None:
    body = bytes(5_000_000)
    assert FlightData.FromString(batch_frame(Batch(b"h", body, 1))).data_body == body


def test_body_of_wider_items_is_measured_in_bytes() -> None:
    body = memoryview(bytes(80)).cast("q")
    assert len(FlightData.FromString(batch_frame(Batch(b"h", body, 1))).data_body) == 80


def test_schema_frame_holds_the_schema_alone() -> None:
    schema = pa.schema([("id", pa.int64())], metadata={"key": "value"})
    frame = FlightData.FromString(schema_frame(schema.serialize().to_pybytes()))
    message = encapsulated(frame.data_header, b"")
    assert pa.ipc.read_schema(pa.py_buffer(message)).equals(schema, check_metadata=True)


def test_split_batch_joins_again() -> None:
    batch = pa.record_batch({"id": pa.array(range(100)), "name": ["x"] * 100})
    message = batch.serialize()
    header, body = split(memoryview(message))
    assert encapsulated(header, bytes(body)) == message.to_pybytes()


@pytest.mark.parametrize(
    "message", [b"", b"\xff" * 8, b"\xff\xff\xff\xff\x10\0\0\0abc", b"\0" * 64]
)
def test_broken_schema_message_is_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match="encapsulated"):
        unwrapped(message)
