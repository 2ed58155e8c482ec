"""Events as Kafka records: nothing lost, nothing odd taken, and what others' libraries read."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from cloudevents.core.bindings.kafka import KafkaMessage, from_binary
from cloudevents.core.formats.json import JSONFormat
from hypothesis import given
from hypothesis import strategies as st

from mesh.errors import EvidenceInvalid
from mesh.evidence.cloudevents import (
    KafkaRecord,
    decode_kafka,
    encode_kafka,
    record_to_kafka,
)
from mesh.evidence.codec import decode_event, encode_event
from mesh.evidence.events import EventType, UsageEvent

ODD = [b" ", b"0", b"-0", b".5", b".0", b"e9", b"e30", b'"', b",", b"9" * 20, b"NaN", b"\\u00e9",
       b"\\ud800", b"\\n", b"\\/", "\u00e9".encode(), b"true", b"null", b"[]", b"{}"]  # fmt: skip
ids = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=1, max_size=40)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | texts
    | st.floats(-1e15, 1e15),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
events = st.builds(
    UsageEvent,
    id=ids,
    source=st.builds(lambda domain, agent: f"/agents/{domain}/{agent}", ids, ids),
    type=st.sampled_from(EventType),
    time=st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    sequence=st.integers(1, 2**53 - 1),
    receipt=ids,
    data=st.dictionaries(texts, values, max_size=5),
)
EVENT = UsageEvent(
    id="0198b0c4-7a10-7000-8000-000000000001",
    source="/agents/bookings/bookings-1",
    type=EventType.COMPLETED,
    time=datetime(2026, 11, 24, 22, 0, 0, 123, UTC),
    sequence=7,
    receipt="0198b0c4-7a10-7000-8000-000000000000",
    data={"rows": 3, "bytes": 144, "tricky": ',"id":"x","receipt":"y"}'},
)
RECORD = encode_kafka(EVENT)


def decoded(record: KafkaRecord) -> UsageEvent:
    return decode_kafka(record.key, record.headers, record.value).event


def with_header(name: str, value: bytes | None) -> KafkaRecord:
    kept = [header for header in RECORD.headers if header[0] != name]
    return RECORD._replace(headers=[*kept, *([(name, value)] if value is not None else [])])


@given(events)
def test_what_is_decoded_encodes_to_the_record_of_the_log(event: UsageEvent) -> None:
    found = decode_kafka(*encode_kafka(event))
    assert (found.event, found.record) == (event, encode_event(event))


@given(events, st.data())
def test_a_record_never_says_what_its_event_does_not(
    event: UsageEvent, data: st.DataObject
) -> None:
    key, headers, value = encode_kafka(event)
    place = data.draw(st.integers(0, len(value)))
    put = data.draw(st.sampled_from(ODD) | st.binary(max_size=3))
    value = value[:place] + put + value[place + data.draw(st.integers(0, 3)) :]
    name = data.draw(st.sampled_from(["ce_id", "ce_receipt", "ce_time", "ce_sequence"]))
    said = data.draw(st.binary(max_size=3) | texts.map(str.encode))
    changed = [
        (one, said if one == name and data.draw(st.booleans()) else old) for one, old in headers
    ]
    try:
        found = decode_kafka(key, changed, value)
    except EvidenceInvalid:
        return
    assert found.record == encode_event(found.event)
    assert decode_event(found.record) == found.event


def test_the_key_is_the_agent_and_the_value_its_data_alone() -> None:
    assert RECORD.key == b"bookings/bookings-1"
    assert json.loads(RECORD.value) == EVENT.data
    assert dict(RECORD.headers) == {
        "ce_specversion": b"1.0",
        "ce_id": b"0198b0c4-7a10-7000-8000-000000000001",
        "ce_source": b"/agents/bookings/bookings-1",
        "ce_type": b"io.meshwarden.read.completed.v1",
        "ce_time": b"2026-11-24T22:00:00.000123Z",
        "ce_sequence": b"7",
        "ce_receipt": b"0198b0c4-7a10-7000-8000-000000000000",
        "content-type": b"application/json",
    }


@given(events)
def test_the_cloudevents_library_reads_the_same_event(event: UsageEvent) -> None:
    record = encode_kafka(event)
    message = KafkaMessage(headers=dict(record.headers), key=record.key, value=record.value)
    seen = from_binary(message, JSONFormat())
    assert seen.get_id() == event.id
    assert seen.get_source() == event.source
    assert seen.get_type() == event.type.value
    assert seen.get_time() == event.time
    assert seen.get_specversion() == "1.0"
    assert seen.get_datacontenttype() == "application/json"
    assert seen.get_extension("sequence") == str(event.sequence)
    assert seen.get_extension("receipt") == event.receipt
    assert seen.get_data() == json.loads(record.value)


def test_headers_of_others_are_ignored() -> None:
    assert decoded(with_header("traceparent", b"00-ab-cd-01")) == EVENT


@pytest.mark.parametrize("header", [name for name, _ in RECORD.headers])
def test_a_missing_header_is_refused_by_its_name(header: str) -> None:
    with pytest.raises(EvidenceInvalid, match=header):
        decoded(with_header(header, None))


@pytest.mark.parametrize(
    ("header", "value", "told"),
    [
        ("ce_specversion", b"0.3", "ce_specversion is not 1.0"),
        ("ce_type", b"io.meshwarden.read.invented.v1", "ce_type or ce_time"),
        ("ce_time", b"yesterday", "ce_type or ce_time"),
        ("ce_time", b"2026-11-24T22:00:00Z", "UTC with microseconds"),
        ("ce_time", b"2026-11-24T23:00:00.000123+01:00", "UTC with microseconds"),
        ("ce_time", b"0001-01-01T00:00:00.000000+14:00", "ce_type or ce_time"),
        ("ce_sequence", b"0", "ce_sequence"),
        ("ce_sequence", b"07", "ce_sequence"),
        ("ce_sequence", b"-1", "ce_sequence"),
        ("ce_sequence", b"9007199254740992", "ce_sequence"),
        ("ce_sequence", b"9" * 5000, "ce_sequence"),
        ("ce_source", b"/agents/fleet/fleet-1", "key is not the agent"),
        ("ce_id", b"\xff", "not UTF-8"),
        ("ce_id", b"", "'ce_id'"),
        ("ce_subject", b"ana", "'ce_subject'"),
        ("content-type", b"application/cloudevents+json", "content-type"),
    ],
)
def test_a_header_that_no_agent_writes_is_refused(header: str, value: bytes, told: str) -> None:
    with pytest.raises(EvidenceInvalid, match=told):
        decoded(with_header(header, value))


def test_a_header_that_is_there_twice_is_refused() -> None:
    twice = RECORD._replace(headers=[*RECORD.headers, ("ce_id", b"another")])
    with pytest.raises(EvidenceInvalid, match="ce_id"):
        decoded(twice)


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"[1]", b'{"b":1,"a":2}', b'{ "a":1}', b'{"a":1.0}', b'{"a":1,"a":1}', b"\xff",
     b'{"a":NaN}', b"[" * 100_000],
)  # fmt: skip
def test_a_value_that_is_no_canonical_object_is_refused(value: bytes) -> None:
    with pytest.raises(EvidenceInvalid, match="value"):
        decoded(RECORD._replace(value=value))


def test_a_record_without_value_or_key_is_refused() -> None:
    with pytest.raises(EvidenceInvalid, match="no value"):
        decode_kafka(RECORD.key, RECORD.headers, None)
    with pytest.raises(EvidenceInvalid, match="key"):
        decode_kafka(None, RECORD.headers, RECORD.value)


@pytest.mark.parametrize("record", [b"", b"{}", b'{"data":{}}', encode_event(EVENT)[:-1]])
def test_bytes_that_are_no_record_are_not_sent(record: bytes) -> None:
    with pytest.raises(EvidenceInvalid, match="no record"):
        record_to_kafka(record)


@pytest.mark.parametrize("levels", [33, 200, 983, 100_000])
def test_what_nests_too_deep_is_refused_both_ways(levels: int) -> None:
    value = b'{"a":' * levels + b"1" + b"}" * levels
    with pytest.raises(EvidenceInvalid, match=r"nests deeper|is not JSON"):
        decoded(RECORD._replace(value=value))
    record = encode_event(EVENT)
    with pytest.raises(ValueError, match="deep"):
        decode_event(record.replace(b'"rows":3', b'"rows":' + value))


def test_what_nests_as_deep_as_allowed_comes_back_from_any_stack() -> None:
    value = b'{"a":' * 32 + b"1" + b"}" * 32
    found = decode_kafka(RECORD.key, RECORD.headers, value)
    assert decode_event(encode_event(found.event)) == found.event
    with pytest.raises(ValueError, match="deeper than 32"):
        encode_event(replace(EVENT, data={"a": found.event.data}))
