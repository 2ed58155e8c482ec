"""The fast way to canonical JSON against the reference library, and records against both."""

import json
from contextlib import suppress
from datetime import UTC, datetime

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from mesh.evidence.canonical import canonical, read_canonical
from mesh.evidence.codec import decode_event, encode_event, place_of
from mesh.evidence.events import EventType, UsageEvent

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=True)
    | st.text(st.characters(exclude_categories=[]))
)
DOCUMENTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4)
    ),
    max_leaves=20,
)
JSON_OBJECTS = st.dictionaries(
    st.text(max_size=5), st.none() | st.integers(0, 9) | st.text(max_size=30), max_size=4
)
EVENTS = st.builds(
    UsageEvent,
    id=st.uuids().map(str),
    source=st.just("/agents/bookings/bookings-1"),
    type=st.sampled_from(EventType),
    time=st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1)),  # noqa: DTZ001
    sequence=st.integers(1, 2**50),
    receipt=st.uuids().map(str),
    data=JSON_OBJECTS,
)


def outcome(encode: object, document: object) -> bytes | str:
    assert callable(encode)
    try:
        return bytes(encode(document))
    except rfc8785.CanonicalizationError as error:
        return type(error).__name__


@given(DOCUMENTS, st.booleans())
def test_bytes_are_read_when_they_are_the_reference_form(document: object, escaped: bool) -> None:
    written = json.dumps(document, ensure_ascii=escaped, separators=(",", ":"), sort_keys=True)
    forms = [written.encode(errors="surrogatepass")]
    with suppress(rfc8785.CanonicalizationError):
        forms.append(rfc8785.dumps(document))  # type: ignore[arg-type]
    for form in forms:
        assert read(form) == plainly_read(form)


@pytest.mark.parametrize(
    "form",
    [b"-0", b"1.0", b"1e16", b"1E5", b"10000000000000000.0", b"9007199254740993", b"[1] ", b"\xff",
     b"0.1", b'"\\u00e9"', b'"\\/"', b'{"\\u00e9":1}', b'{"a":1,"a":1}', b'{"b":1,"a":1}', b"NaN",
     '{"\ufb33":1,"\U0001f600":2}'.encode(), '{"\U0001f600":2,"\ufb33":1}'.encode(), b'"\\ud800"',
     b"\xef\xbb\xbf1", "1".encode("utf-16"), b"", b"9" * 5000, b"-9007199254740991"],
)  # fmt: skip
def test_odd_bytes_are_read_as_the_reference_reads_them(form: bytes) -> None:
    assert read(form) == plainly_read(form)


def read(form: bytes) -> tuple[object, ...]:
    try:
        return ("read", repr(read_canonical(form)))
    except ValueError:
        return ("refused",)


def plainly_read(form: bytes) -> tuple[object, ...]:
    try:
        found = json.loads(form)
        return ("read", repr(found)) if rfc8785.dumps(found) == form else ("refused",)
    except ValueError:
        return ("refused",)


@given(DOCUMENTS)
def test_every_document_has_the_form_of_the_reference(document: object) -> None:
    assert outcome(canonical, document) == outcome(rfc8785.dumps, document)


@pytest.mark.parametrize(
    "document",
    [
        {"\ufb33": 1, "\U0001f600": 2},
        {"a": 1.0},
        [2**53 - 1, -(2**53) + 1],
        {"\x7f\x1f\u2028": '"\\\b\f\n\r\t'},
        ("tuple",),
        True,
    ],
)
def test_what_encoders_differ_in_has_the_form_of_the_reference(document: object) -> None:
    assert canonical(document) == rfc8785.dumps(document)  # type: ignore[arg-type]


@pytest.mark.parametrize("document", [2**53, float("nan"), "\ud800", {"\ud800": 1}])
def test_what_json_cannot_hold_is_refused(document: object) -> None:
    with pytest.raises(ValueError):
        canonical(document)


@given(EVENTS)
def test_a_record_is_the_canonical_form_of_its_event_and_comes_back(event: UsageEvent) -> None:
    record = encode_event(event)
    whole = {
        "id": event.id,
        "source": event.source,
        "type": event.type.value,
        "time": event.time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "sequence": event.sequence,
        "receipt": event.receipt,
        "data": dict(event.data),
    }
    assert record == rfc8785.dumps(whole)  # type: ignore[arg-type]
    assert decode_event(record) == event


@given(EVENTS)
def test_where_a_record_stands_is_found_without_its_data(event: UsageEvent) -> None:
    place = place_of(encode_event(event))
    assert (place.id, place.receipt) == (event.id, event.receipt)
    assert (place.sequence, place.type) == (event.sequence, event.type)


def test_data_that_looks_like_an_end_does_not_move_a_record() -> None:
    tail = ',"id":"x","receipt":"x","sequence":9,"source":"x","time":"x","type":"x"}'
    event = UsageEvent(
        "a", "/agents/a/b", EventType.STARTED, datetime(2026, 1, 1, tzinfo=UTC), 1, "a", {"t": tail}
    )
    assert place_of(encode_event(event)).sequence == 1


@pytest.mark.parametrize("record", [b"", b"{}", b'{"type":"x"}', b"\x00" * 2000])
def test_bytes_that_are_no_record_stand_nowhere(record: bytes) -> None:
    with pytest.raises(ValueError, match="no record"):
        place_of(record)
