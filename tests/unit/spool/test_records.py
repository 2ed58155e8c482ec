"""Frames: whole records are found, damaged ones never."""

from hypothesis import given
from hypothesis import strategies as st

from domain_agent.spool.records import frame, frames, has_frame_after

payloads = st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=8)


@given(payloads)
def test_frames_round_trip(written: list[bytes]) -> None:
    segment = b"".join(frame(payload) for payload in written)
    found = list(frames(segment))
    assert [f.payload for f in found] == written
    assert found[-1].end == len(segment)


@given(payloads, st.data())
def test_a_cut_segment_gives_its_longest_whole_prefix(
    written: list[bytes], data: st.DataObject
) -> None:
    segment = b"".join(frame(payload) for payload in written)
    size = data.draw(st.integers(0, len(segment)))
    ends = [f.end for f in frames(segment)]
    found = list(frames(segment[:size]))
    assert [f.end for f in found] == [end for end in ends if end <= size]


@given(payloads, st.data())
def test_a_flipped_bit_is_never_read_as_a_record(written: list[bytes], data: st.DataObject) -> None:
    segment = bytearray(b"".join(frame(payload) for payload in written))
    position = data.draw(st.integers(0, len(segment) * 8 - 1))
    segment[position // 8] ^= 1 << position % 8
    found = [f.payload for f in frames(bytes(segment))]
    assert found == written[: len(found)]
    assert len(found) < len(written)


def test_damage_before_a_whole_record_is_no_torn_write() -> None:
    first, second = frame(b"one"), frame(b"two")
    damaged = bytearray(first + second)
    damaged[9] ^= 1
    assert has_frame_after(bytes(damaged), 0)
    assert not has_frame_after(first + second[:-1], len(first))
