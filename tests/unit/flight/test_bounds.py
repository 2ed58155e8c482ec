"""One small request never costs the agent much."""

import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pyarrow as pa
import pytest

from domain_agent.flight import catalog, sql_info
from mesh.arrow import flight_sql_pb2 as sql
from mesh.errors import RequestInvalid
from tests.unit.flight.memory import MemoryReads
from tests.unit.flight.serving import serving

GET_FLIGHT_INFO = "/arrow.flight.protocol.FlightService/GetFlightInfo"


def test_a_fact_asked_for_a_thousand_times_is_answered_once() -> None:
    facts = sql_info.facts("1.0", 60.0)
    assert sql_info.table(facts, [0] * 1_000).num_rows == 1


def test_a_pattern_longer_than_a_name_can_be_is_refused() -> None:
    command = sql.CommandGetTables(table_name_filter_pattern="%" * 300)
    with pytest.raises(RequestInvalid, match="256"):
        catalog.answer(command, lambda: [], {})


def test_a_call_that_proves_nothing_is_refused_before_its_message_is_waited_for() -> None:
    over = threading.Event()

    def silence() -> Iterator[bytes]:
        over.wait()
        yield from ()

    reads = MemoryReads({"flights": pa.table({"a": [1]})})
    with serving(reads) as endpoint, endpoint.channel() as channel:
        method: Any = channel.stream_unary(GET_FLIGHT_INFO)
        call = method.future(silence(), timeout=20)
        try:
            with pytest.raises(grpc.RpcError) as refused:
                call.result()
        finally:
            over.set()
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED
