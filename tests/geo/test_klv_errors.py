import numpy as np
import pytest
from stanag4609 import st1010

from geo import klv, klv_errors
from geo.errors import KlvInvalid
from geo.klv import ItemErrors, UasMetadata
from geo.klv_errors import Deviations

COVARIANCE = np.array([[4, 1, 0.5], [1, 9, -2], [0.5, -2, 16.0]])


def test_a_covariance_comes_back_and_the_judge_reads_the_same() -> None:
    errors = klv_errors.deviations_of(COVARIANCE)
    pack = klv_errors.encode(errors)
    back = klv_errors.decode(pack)
    assert back.covariance() == pytest.approx(COVARIANCE, abs=1e-3)
    judge = st1010.decode_sdcc_flp(pack)
    assert judge.standard_deviations == pytest.approx(back.deviations)
    assert [float(value) for value in judge.correlation_coefficients] == pytest.approx(back.correlations)


def test_without_correlations_the_pack_holds_none() -> None:
    errors = klv_errors.deviations_of(np.diag([1.0, 0.0, 4.0]))
    assert errors == Deviations(deviations=(1.0, 0.0, 2.0))
    assert klv_errors.decode(klv_errors.encode(errors)) == errors
    assert errors.covariance() == pytest.approx(np.diag([1.0, 0.0, 4.0]))


@pytest.mark.parametrize("imap", [True, False])
def test_sparse_packs_of_the_judge_are_read(imap: bool) -> None:
    control = st1010.SDCCParseControl(
        mode=2,
        sparse=True,
        standard_deviation_length=8,
        correlation_coefficient_length=4,
        standard_deviation_format=st1010.SDCCValueFormat.IEEE,
        correlation_coefficient_format=st1010.SDCCValueFormat(int(imap)),
    )
    pack = st1010.encode_sdcc_flp(
        st1010.SDCCFLP(4, control, (1.0, 2.0, 3.0, 4.0), (0.5, None, None, -0.25, None, 0.125))
    )
    assert klv_errors.decode(pack) == Deviations(
        deviations=(1.0, 2.0, 3.0, 4.0), correlations=(0.5, 0.0, 0.0, -0.25, 0.0, 0.125)
    )


def test_a_pack_of_mode_1_is_read_with_floats() -> None:
    pack = b"\x02\x42" + bytes.fromhex("3f800000 40000000") + b"\x60\x00"
    assert klv_errors.decode(pack) == Deviations(deviations=(1.0, 2.0), correlations=(0.5,))


def test_errors_are_bound_to_the_items_before_them() -> None:
    pack = klv_errors.encode(Deviations(deviations=(1e-5, 2e-5, 3.0)))
    metadata = UasMetadata(
        utc_s=1.0,
        sensor_lat_deg=43.0,
        sensor_lon_deg=77.0,
        sensor_amsl_m=900.0,
        platform_heading_deg=10.0,
        hfov_deg=60.0,
        errors=(
            ItemErrors(tags=(13, 14, 15), pack=pack),
            ItemErrors(tags=(5,), pack=klv_errors.encode(Deviations(deviations=(2.0,)))),
        ),
    )
    data = klv.encode(metadata)
    back = klv.decode(data)
    assert [group.tags for group in back.errors] == [(13, 14, 15), (5,)]
    assert back.errors == metadata.errors
    assert klv.encode(back) == data


@pytest.mark.parametrize(
    ("errors", "why"),
    [
        ((ItemErrors(tags=(16,), pack=b""),), "item 16 has errors but no value"),
        ((ItemErrors(tags=(13,), pack=b""), ItemErrors(tags=(13,), pack=b"")), "errors twice"),
    ],
)
def test_errors_of_items_that_are_not_there_are_not_written(errors: tuple[ItemErrors, ...], why: str) -> None:
    with pytest.raises(KlvInvalid, match=why):
        klv.encode(UasMetadata(utc_s=1.0, sensor_lat_deg=43.0, errors=errors))


@pytest.mark.parametrize(
    ("pack", "why"),
    [
        (b"", "no tag"),
        (b"\x03", "before its parse control"),
        (b"\x03\x80", "before its parse control"),
        (b"\x00\x80\x04", "0 items"),
        (b"\xff\x7f\x80\x04", "16383 items"),
        (b"\x02\x80\x03" + b"\0" * 6, "deviations of 3 bytes"),
        (b"\x02\x80\x14" + b"\0" * 8, "no IEEE floats"),
        (b"\x02\x89\x04" + b"\0" * 16, "correlations of 9 bytes"),
        (b"\x02\x92\x04" + b"\0" * 9, "does not fill"),
        (b"\x02\x80\x04" + b"\x7f\xc0\0\0" * 2, "no number"),
        (b"\x01\x80\x04\xbf\x80\0\0", "below 0"),
        (b"\x02\x92\x04" + b"\0" * 8 + b"\xc8\x00", "beyond 1"),
        (b"\x02\x84\x04" + b"\0" * 8 + b"\x40\0\0\0", "beyond 1"),
    ],
)
def test_broken_packs_are_refused(pack: bytes, why: str) -> None:
    with pytest.raises(KlvInvalid, match=why):
        klv_errors.decode(pack)


@pytest.mark.parametrize(
    "errors",
    [
        Deviations(deviations=()),
        Deviations(deviations=(-1.0,)),
        Deviations(deviations=(float("nan"),)),
        Deviations(deviations=(1.0, 2.0), correlations=(0.1, 0.2)),
        Deviations(deviations=(1.0, 2.0), correlations=(1.5,)),
        Deviations(deviations=(1.0,) * 65),
    ],
)
def test_what_is_no_covariance_is_not_written(errors: Deviations) -> None:
    with pytest.raises(KlvInvalid):
        klv_errors.encode(errors)
