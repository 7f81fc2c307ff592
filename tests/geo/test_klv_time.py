import numpy as np
import pytest
from stanag4609 import st0604

from geo import klv_time
from geo.errors import KlvInvalid
from geo.klv_time import TimeStamp

H264, H265 = 0x1B, 0x24
STAMP = TimeStamp(utc_ns=1_750_000_000_123_456_000)
H264_PICTURE = b"\0\0\0\1\x09\xf0\0\0\0\1\x67\x42\0\x1e\0\0\0\1\x68\xce\0\0\0\1\x65\x88\x80\x10"
H265_PICTURE = b"\0\0\0\1\x46\x01\x50\0\0\0\1\x26\x01\xaf\x10"


@pytest.mark.parametrize("locked", [True, False])
@pytest.mark.parametrize(("jumped", "backwards"), [(False, False), (True, False), (True, True)])
def test_the_judge_writes_the_same_bytes(locked: bool, jumped: bool, backwards: bool) -> None:
    stamp = TimeStamp(utc_ns=STAMP.utc_ns, locked=locked, jumped=jumped, backwards=backwards)
    status = st0604.encode_time_status(locked=locked, discontinuity=jumped, reverse=backwards)
    assert klv_time.sei(stamp)[1:] == st0604.encode_avc_timestamp_sei(STAMP.utc_ns // 1000, time_status=status)
    assert klv_time.sei(stamp, h265=True)[1:] == st0604.encode_hevc_timestamp_sei(
        STAMP.utc_ns // 1000, time_status=status
    )
    assert klv_time.decode_stamp(klv_time.encode_stamp(stamp)) == stamp


def test_nanoseconds_are_kept_where_the_kind_has_them() -> None:
    stamp = TimeStamp(utc_ns=1_750_000_000_123_456_789)
    data = klv_time.encode_stamp(stamp, klv_time.H265_NANOSECONDS)
    assert klv_time.decode_stamp(data) == stamp
    assert data == st0604.encode_timestamp_payload(
        stamp.utc_ns, stream_type=H265, resolution=st0604.TimestampResolution.NANOSECONDS
    )
    rounded = klv_time.decode_stamp(klv_time.encode_stamp(stamp))
    assert rounded is not None
    assert rounded.utc_ns == 1_750_000_000_123_457_000
    assert rounded.utc_s == pytest.approx(1_750_000_000.123457, abs=1e-6)


@pytest.mark.parametrize(("picture", "h265", "stream"), [(H264_PICTURE, False, H264), (H265_PICTURE, True, H265)])
def test_a_stamp_stands_before_the_first_slice_and_is_found(picture: bytes, h265: bool, stream: int) -> None:
    whole = klv_time.stamped(picture, STAMP, h265=h265)
    assert klv_time.stamps(whole, h265=h265) == [STAMP]
    slice_at = picture.rfind(b"\0\0\0\1")
    assert whole == picture[:slice_at] + klv_time.sei(STAMP, h265=h265) + picture[slice_at:]
    judge = st0604.VideoTimestampStreamParser(stream)
    (judged,) = (*judge.feed(whole), *judge.finish())
    assert judged.value == STAMP.utc_ns // 1000


def test_stamps_among_other_messages_and_escapes_are_found() -> None:
    other = b"\x05\x12" + b"not a time stamp !" + b"\x04\x03\x00\x00\x00"
    body = b"\x06" + other + b"\x05\x1c" + klv_time.encode_stamp(TimeStamp(utc_ns=0)) + b"\x80"
    escaped = bytearray()
    for octet in body:
        if octet <= 3 and escaped[-2:] == b"\0\0":
            escaped.append(3)
        escaped.append(octet)
    assert b"\x00\x00\x03" in escaped
    assert klv_time.stamps(b"\0\0\1" + bytes(escaped) + b"\0\0\1\x65\x88") == [TimeStamp(utc_ns=0)]


def test_pictures_without_stamps_have_none() -> None:
    assert klv_time.stamps(H264_PICTURE) == []
    assert klv_time.stamps(b"") == []
    assert klv_time.decode_stamp(b"something else of user data!") is None
    with pytest.raises(KlvInvalid, match="no slice"):
        klv_time.stamped(b"\0\0\1\x67\x42", STAMP)


def test_broken_stamps_are_refused() -> None:
    data = klv_time.encode_stamp(STAMP)
    for broken in (data[:-1], data[:19] + b"\0" + data[20:]):
        with pytest.raises(KlvInvalid, match="time stamp"):
            klv_time.decode_stamp(broken)
    for stamp in (TimeStamp(utc_ns=-1000), TimeStamp(utc_ns=1 << 80), TimeStamp(utc_ns=0, backwards=True)):
        with pytest.raises(KlvInvalid):
            klv_time.encode_stamp(stamp)
    with pytest.raises(KlvInvalid, match="no time stamp starts with"):
        klv_time.encode_stamp(STAMP, b"x" * 16)


def test_any_bytes_give_stamps_or_klv_invalid() -> None:
    rng = np.random.default_rng(5)
    whole = klv_time.stamped(H264_PICTURE, STAMP)
    for _ in range(3000):
        data = bytearray(whole)
        for _ in range(rng.integers(1, 4)):
            at = int(rng.integers(len(data)))
            data[at : at + int(rng.integers(3))] = rng.bytes(int(rng.integers(3)))
        try:
            klv_time.stamps(bytes(data))
        except KlvInvalid:
            continue
