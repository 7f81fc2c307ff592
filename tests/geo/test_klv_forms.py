import math

import numpy as np
import pytest
from stanag4609.imap import IMAPB, IMAPSpecialValue

from geo.errors import KlvInvalid
from geo.klv_forms import Imapb, Linear, Moment, Text, Whole
from geo.klv_uas import ITEMS

RANGES = [(0, 180, 2), (-19.2, 19.2, 3), (-900, 40_000, 3), (-900, 40_000, 4), (-1, 1, 2), (0, 360, 2), (1, 99_999, 3)]


@pytest.mark.parametrize(("low", "high", "size"), RANGES)
def test_imapb_is_as_the_judge_writes_and_reads_it(low: float, high: float, size: int) -> None:
    form, judge = Imapb(size, low, high), IMAPB(low, high, size)
    rng = np.random.default_rng(7)
    for value in [low, high, *rng.uniform(low, high, 300).tolist(), *([0.0] if low <= 0 <= high else [])]:
        data = form.to_bytes(value, "it")
        assert data == judge.encode(value)
        back = form.from_bytes(data, "it")
        assert back is not None
        assert back == pytest.approx(max(float(judge.decode(data)), low), abs=1e-9)
        assert form.to_bytes(back, "it") == data
    for _ in range(300):
        data = rng.bytes(size)
        told, judged = form.from_bytes(data, "it"), judge.decode(data)
        beyond = isinstance(judged, IMAPSpecialValue) or float(judged) > high
        assert (told is None) == beyond, data.hex()


def test_imapb_of_the_standards_examples() -> None:
    assert Imapb(2, 0, 180).to_bytes(12.5, "FOV") == bytes.fromhex("0640")
    assert Imapb(3, -19.2, 19.2).to_bytes(10.0, "offset") == bytes.fromhex("3a6667")
    assert Imapb(2, -1, 1).from_bytes(b"\x80\x00", "rho") == 1.0
    assert Imapb(2, -1, 1).from_bytes(b"\x40\x00", "rho") == 0.0


@pytest.mark.parametrize("head", [0xC8, 0xE8, 0xD0, 0xF0, 0xD8, 0xF8, 0xE0, 0xE1, 0xC1, 0x90])
def test_special_values_of_imapb_are_none(head: int) -> None:
    assert Imapb(3, -900, 40_000).from_bytes(bytes((head, 0, 0)), "height") is None


def test_linear_forms_are_exact_at_their_ends() -> None:
    for tag, (name, form) in ITEMS.items():
        if isinstance(form, Linear):
            for value in (form.low, form.high, 0.0 if form.signed else form.low):
                assert form.from_bytes(form.to_bytes(value, name), name) == value, tag


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 180.01, -0.01])
@pytest.mark.parametrize("form", [Linear(2, 0, 180), Imapb(2, 0, 180)])
def test_numbers_beyond_the_range_are_not_written(form: Linear | Imapb, value: float) -> None:
    with pytest.raises(KlvInvalid, match=r"FOV .* cannot be written: not within 0 to 180"):
        form.to_bytes(value, "FOV")


def test_an_unsigned_number_has_no_way_to_say_unknown() -> None:
    assert Linear(2, -1, 1, signed=True).to_bytes(None, "x") == b"\x80\x00"
    with pytest.raises(KlvInvalid, match="no way"):
        Linear(2, 0, 1).to_bytes(None, "x")


@pytest.mark.parametrize("value", [0, 1, -1, 127, 128, -128, -129, 2**31 - 1, -(2**31)])
def test_whole_numbers_of_any_length_come_back(value: int) -> None:
    form = Whole(4, signed=True, variable=True)
    assert form.from_bytes(form.to_bytes(value, "leap seconds"), "leap seconds") == value


def test_what_no_form_holds_is_named() -> None:
    with pytest.raises(KlvInvalid, match="leap seconds 2147483648 cannot be written: not within 4 bytes"):
        Whole(4, signed=True, variable=True).to_bytes(2**31, "leap seconds")
    with pytest.raises(KlvInvalid, match="version -1"):
        Whole(1).to_bytes(-1, "version")
    with pytest.raises(KlvInvalid, match="item 7 is 9 bytes, not 1 to 8"):
        Imapb(3, 0, 1).from_bytes(b"\0" * 9, "item 7")
    with pytest.raises(KlvInvalid, match="start"):
        Moment().to_bytes(math.nan, "start")
    with pytest.raises(KlvInvalid, match="33 bytes"):
        Text(32).to_bytes("x" * 33, "target_id")
