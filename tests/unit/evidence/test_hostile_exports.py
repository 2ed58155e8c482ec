"""Anybody can sign an export with a key of their own: verifying it ends with a verdict."""

import json
from collections.abc import Callable

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from mesh.evidence.canonical import canonical
from mesh.evidence.envelopes import MAX_LINE, Line, encode_bytes, fingerprint, read_line
from mesh.evidence.exports import verify_export
from mesh.evidence.manifests import LEAVES_TYPE, MANIFEST_TYPE
from mesh.evidence.verifying import Wrong
from mesh.snapshots.envelope import pre_authentication_encoding
from tests.unit.evidence.logs import CONTROL, CONTROL_KEY, Shape, export, log, replaced

BOOKINGS = log("bookings/bookings-1", 12)
LINES = export([BOOKINGS], Shape(piece=5, sizes=(4, 10)))
MANIFEST = json.loads(read_line(LINES[0][:-1], MANIFEST_TYPE).payload)
LEAVES = json.loads(read_line(LINES[1][:-1], LEAVES_TYPE).payload)
ODD: list[object] = [
    None, True, -1, 0, 2**53, 2**64, 2**4000, 0.5, "", "x", "\x1b[2J", "a/b", [], [[]], {},
    [[1, 10**11]], [[1, 1], [1, 1]], [[2, 1]], [[1.0, 2]], [[1]], [None],
    "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "2026-11-25T08:00:00Z",
    encode_bytes(bytes(31)), encode_bytes(b""), encode_bytes(bytes(32 * 600)),
]  # fmt: skip


def signed(kind: str, payload: bytes, key: Ed25519PrivateKey = CONTROL) -> bytes:
    signature = key.sign(pre_authentication_encoding(kind, payload))
    public = key.public_key().public_bytes_raw()
    return Line(kind, payload, fingerprint(public), signature).encoded() + b"\n"


def fits(lines: list[bytes]) -> bool:
    return verify_export(lines).first is None


def fields(document: dict[str, object]) -> list[tuple[str, ...]]:
    inner = [("selection", name) for name in ("domain", "agent", "since", "before")]
    return [*((name,) for name in document), *inner]


def changed(document: dict[str, object], path: tuple[str, ...], value: object) -> object:
    made = json.loads(json.dumps(document))
    part = made
    for name in path[:-1]:
        part = part[name]
    part[path[-1]] = value
    return made


def written(document: object) -> bytes:
    """JSON, in canonical form where it has one."""
    try:
        return canonical(document)
    except ValueError:
        return json.dumps(document, separators=(",", ":"), sort_keys=True).encode()


LOG = MANIFEST["logs"][0]


@pytest.mark.parametrize("value", ODD, ids=lambda value: str(value)[:20])
def test_no_odd_value_of_any_field_fits_or_ends_otherwise_than_with_a_verdict(
    value: object,
) -> None:
    for path in fields(MANIFEST):
        payload = written(changed(MANIFEST, path, value))
        same = payload == canonical(MANIFEST)
        harmless = path == ("selection", "since") and value == "2026-11-25T08:00:00.000000Z"
        assert fits([signed(MANIFEST_TYPE, payload), *LINES[1:]]) is (same or harmless)
    for name in LOG:
        made = {**MANIFEST, "logs": [{**LOG, name: value}]}
        payload = written(made)
        same = payload == canonical(MANIFEST)
        verdict = verify_export([signed(MANIFEST_TYPE, payload), *LINES[1:]])
        assert verdict.first is not None or same or name in ("problem", "checkpoints")
    for path in fields(LEAVES):
        payload = written(changed(LEAVES, path, value))
        same = payload == canonical(LEAVES) or (path == ("checkpoints",) and value == [])
        assert fits([LINES[0], signed(LEAVES_TYPE, payload), *LINES[2:]]) is same


@pytest.mark.parametrize(
    "text", ["1e999", "NaN", "1" * 5_000, "[" * 50_000, '"\\ud800"', "1.0", "true", "01", "-0"]
)
def test_no_odd_text_of_a_number_fits(text: str) -> None:
    leaves = canonical(LEAVES).replace(b'"first":1', b'"first":' + text.encode())
    assert not fits([LINES[0], signed(LEAVES_TYPE, leaves), *LINES[2:]])
    for name in (b"after", b"until"):
        old = b'"%b":%d' % (name, LOG[name.decode()])
        manifest = canonical(MANIFEST).replace(old, b'"%b":%b' % (name, text.encode()))
        assert not fits([signed(MANIFEST_TYPE, manifest), *LINES[1:]])


json_values: st.SearchStrategy[object] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None)
@given(value=json_values, data=st.data())
def test_whatever_is_signed_has_a_verdict(value: object, data: st.DataObject) -> None:
    manifest = data.draw(st.sampled_from(fields(MANIFEST)))
    leaves = data.draw(st.sampled_from(fields(LEAVES)))
    name = data.draw(st.sampled_from(sorted(LOG)))
    for payload in (
        json.dumps(value).encode(),
        json.dumps(changed(MANIFEST, manifest, value)).encode(),
        written({**MANIFEST, "logs": [{**LOG, name: value}]}),
    ):
        verify_export([signed(MANIFEST_TYPE, payload), *LINES[1:]])
    payload = written(changed(LEAVES, leaves, value))
    verify_export([LINES[0], signed(LEAVES_TYPE, payload), *LINES[2:]])


@settings(max_examples=200, deadline=None)
@given(at=st.integers(0, 4_000), bits=st.integers(1, 255), kind=st.booleans())
def test_a_changed_byte_of_what_is_signed_anew_has_a_verdict(
    at: int, bits: int, kind: bool
) -> None:
    payload = bytearray(canonical(MANIFEST if kind else LEAVES))
    payload[at % len(payload)] ^= bits
    if kind:
        verify_export([signed(MANIFEST_TYPE, bytes(payload)), *LINES[1:]])
    else:
        verify_export([LINES[0], signed(LEAVES_TYPE, bytes(payload)), *LINES[2:]])


RECORD = BOOKINGS.records[4]
CHANGES: dict[str, Callable[[bytes], bytes]] = {
    "time": lambda one: one.replace(b"2026-11-25T08:00:00.005000Z", b"0001-01-01T00:00:00+23:59"),
    "infinite": lambda one: one.replace(b'"sequence":5', b'"sequence":1e999'),
    "surrogate": lambda one: one.replace(b'"data":{', b'"data":{"a":"\\ud800",'),
    "deep": lambda one: one.replace(
        b'"data":{', b'"data":{"a":%b%b,' % (b"[" * 9_000, b"]" * 9_000)
    ),
    "digits": lambda one: one.replace(b'"sequence":5', b'"sequence":' + b"5" * 5_000),
    "id": lambda one: one.replace(b'"id":"bookings/bookings-1-5"', b'"id":[]'),
    "receipt": lambda one: one.replace(b'"receipt":"bookings/bookings-1-5"', b'"receipt":7'),
}  # fmt: skip


@pytest.mark.parametrize("how", CHANGES)
def test_a_record_that_its_agent_signed_may_be_anything(how: str) -> None:
    odd = CHANGES[how](RECORD)
    assert odd != RECORD
    finding = verify_export(export([replaced(BOOKINGS, 5, odd)], Shape(piece=5))).first
    assert finding is not None
    assert (finding.wrong, finding.first) == (Wrong.RECORD, 5)


def test_an_envelope_has_a_longest_line() -> None:
    finding = verify_export([b'{"payload":"' + b"x" * MAX_LINE + b"\n"]).first
    assert finding is not None
    assert "longer" in finding.message


def test_many_logs_that_fail_take_no_long_time() -> None:
    logs = [{**LOG, "agent": f"a-{n}", "checkpoints": []} for n in range(4_000)]
    payload = canonical({**MANIFEST, "key": encode_bytes(CONTROL_KEY), "logs": logs})
    verdict = verify_export([signed(MANIFEST_TYPE, payload), *LINES[1:]])
    assert len([one for one in verdict.logs if one.finding]) == 4_000
