import os
from pathlib import Path

import msgspec
import numpy as np
import pytest
from stanag4609 import st0903

from geo import klv, klv_vmti
from geo.errors import KlvInvalid
from geo.klv import UasMetadata
from geo.klv_vmti import Algorithm, ObjectClass, Ontology, Target, Track, Vector, Vmti, vector_of

SAMPLE = (
    Path(os.environ.get("MC_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
    / "flight"
    / "misb_klv"
    / "0903_vmti.bin"
)
COVARIANCE = np.array([[9, 2, 0.5], [2, 4, -1], [0.5, -1, 25.0]])
FULL = Vmti(
    utc_s=1_750_000_000.25,
    system_name="mission control",
    detected=3,
    reported=2,
    frame_number=77,
    frame_width_px=1920,
    frame_height_px=1080,
    source_sensor="wide",
    hfov_deg=65.0,
    vfov_deg=39.5,
    miis_core_id=bytes.fromhex("0170f592f02373364af8aa9162c00f2eb2da16b74341000841a0be365b5ab96a3645"),
    targets=(
        Target(
            target_id=5,
            centroid_pixel=1_000_000,
            top_left_pixel=900_000,
            bottom_right_pixel=1_100_000,
            priority=1,
            confidence_percent=87,
            history=12,
            target_pixels_percent=40,
            color=b"\xff\x80\x00",
            intensity=70_000,
            lat_offset_deg=0.001,
            lon_offset_deg=-0.002,
            hae_m=812.0,
            top_left_lat_offset_deg=0.0011,
            top_left_lon_offset_deg=-0.0021,
            bottom_right_lat_offset_deg=0.0009,
            bottom_right_lon_offset_deg=-0.0019,
            place=vector_of((43.2, 76.9, 812.0), COVARIANCE),
            contour=(vector_of((43.2, 76.9, 812.0)), vector_of((43.2, 77.0, 812.0)), vector_of((43.3, 77.0, 812.0))),
            centroid_row=521,
            centroid_column=400,
            algorithm_id=1,
            status=1,
            track=Track(
                track_id=bytes(range(16)),
                first_utc_s=1_749_999_990.0,
                latest_utc_s=1_750_000_000.25,
                confidence_percent=90,
                history=(vector_of((43.2, 76.9, 812.0)), vector_of((43.2, 76.91, 812.0))),
                velocity=vector_of((3.5, -1.25, 0.0), np.diag([0.25, 0.25, 0.04])),
                algorithm_id=1,
            ),
            classes=(ObjectClass(ontology_id=9, confidence_percent=81.5),),
        ),
        Target(target_id=300, top_left_pixel=1, bottom_right_pixel=1920 * 1080),
    ),
    algorithms=(Algorithm(algorithm_id=1, name="detector", version="2026-11", kind="detector", frames=1),),
    ontologies=(
        Ontology(ontology_id=9, ontology_iri="urn:example:city", entity_iri="urn:example:city#dump", label="dump"),
    ),
)


def same(sent: object, got: object) -> bool:
    """Equal but for the steps that numbers are written in."""
    if isinstance(sent, Vector):
        return isinstance(got, Vector) and all(
            same(getattr(sent, name), getattr(got, name)) for name in sent.__struct_fields__
        )
    if isinstance(sent, (Vmti, Target, Track, ObjectClass, Algorithm, Ontology)):
        return type(sent) is type(got) and all(
            same(getattr(sent, name), getattr(got, name)) for name in sent.__struct_fields__
        )
    if isinstance(sent, tuple):
        return (
            isinstance(got, tuple)
            and len(sent) == len(got)
            and all(same(one, other) for one, other in zip(sent, got, strict=True))
        )
    if isinstance(sent, float):
        return got == pytest.approx(sent, rel=5e-4, abs=0.07)
    return sent == got


def test_every_field_comes_back_and_twice_the_same_bytes() -> None:
    data = klv_vmti.encode(FULL)
    back = klv_vmti.decode(data)
    assert same(FULL, back)
    assert klv_vmti.encode(back) == data
    place = back.targets[0].place
    assert place is not None
    assert place.covariance() == pytest.approx(COVARIANCE, abs=0.3)
    assert place.values[0] == pytest.approx(43.2, abs=1e-7)
    assert back.label_of(back.targets[0]) == "dump"
    assert back.label_of(back.targets[1]) is None


@pytest.mark.parametrize("standalone", [True, False])
def test_the_judge_reads_what_is_written(standalone: bool) -> None:
    first, second = FULL.targets
    if standalone:  # no frame center to be offset from
        offsets = {name: None for name in first.__struct_fields__ if "offset" in name}
        first = msgspec.structs.replace(first, **offsets)
    vmti = msgspec.structs.replace(FULL, targets=(first, second))
    data = klv_vmti.encode_packet(vmti) if standalone else klv_vmti.encode(vmti)
    # item 7, the frame number, was taken out of the standard; the judge keeps it as unknown
    judge = st0903.decode_vmti_local_set(data, standalone=standalone)
    assert judge.value(3) == "mission control"
    assert float(judge.value(11)) == pytest.approx(65.0, abs=0.01)
    target = judge.targets[0]
    assert target.target_id == 5
    assert (target.value(1), target.value(2), target.value(3)) == (1_000_000, 900_000, 1_100_000)
    assert target.value(5) == 87
    place = target.value(17)
    assert float(place.latitude) == pytest.approx(43.2, abs=1e-7)
    assert [float(sigma) for sigma in place.standard_deviations] == pytest.approx([3, 2, 5], abs=0.03)
    assert [float(rho) for rho in place.correlations] == pytest.approx([2 / 6, 0.5 / 15, -1 / 10], abs=1e-3)
    tracker = target.value(104)
    assert tracker.track_id.bytes == bytes(range(16))
    assert float(tracker.velocity.east) == pytest.approx(3.5, abs=0.06)
    assert target.value(107)[0].ontology_id == 9
    assert judge.ontologies[0].entity_iri == "urn:example:city#dump"
    assert judge.algorithms[0].version == "2026-11"


def test_what_the_judge_writes_is_read() -> None:
    data = st0903.encode_vmti_local_set(
        {2: 1_750_000_000_000_000, 4: 6, 5: 1, 8: 640, 9: 480},
        targets=[
            st0903.VTargetData(70_000, {1: 640 * 99 + 100, 5: 50, 17: st0903.Location(43.2, 76.9, 800, 3, 2, 5), 23: 3})
        ],
    )
    vmti = klv_vmti.decode(data)
    (target,) = vmti.targets
    assert (vmti.frame_width_px, vmti.reported, target.target_id, target.status) == (640, 1, 70_000, 3)
    assert target.place is not None
    assert target.place.sigmas == pytest.approx((3, 2, 5), abs=0.03)
    assert target.place.correlations is None
    assert klv_vmti.encode(vmti) == data


@pytest.mark.skipif(not SAMPLE.exists(), reason=f"no packets by others at {SAMPLE}")
def test_packets_by_others_are_read_and_written_byte_for_byte() -> None:
    sets = []
    for packet in klv.packets(SAMPLE.read_bytes(), klv_vmti.VMTI_KEY):
        vmti = klv_vmti.decode_packet(packet)
        assert klv_vmti.encode_packet(vmti) == packet
        assert (vmti.system_name, vmti.version, vmti.frame_width_px, vmti.frame_height_px) == (
            "Example Targeting System",
            4,
            1000,
            600,
        )
        sets.append(vmti)
    assert [target.target_id for vmti in sets for target in vmti.targets] == list(range(10))
    assert sets[0].targets[0].confidence_percent == 0x0F


def test_a_set_rides_in_the_metadata_of_its_frame() -> None:
    metadata = UasMetadata(utc_s=1.0, vmti_set=klv_vmti.encode(FULL))
    back = klv.decode(klv.encode(metadata))
    assert back.vmti_set == metadata.vmti_set


def test_boxes_become_pixels_and_back() -> None:
    rng = np.random.default_rng(3)
    for _ in range(1000):
        left, right = sorted(rng.uniform(0, 1920, 2))
        top, bottom = sorted(rng.uniform(0, 1080, 2))
        centroid, first, last = klv_vmti.box_pixels((left, top, right, bottom), 1920, 1080)
        vmti = Vmti(frame_width_px=1920)
        box = vmti.box_px(Target(target_id=1, centroid_pixel=centroid, top_left_pixel=first, bottom_right_pixel=last))
        assert box is not None
        assert box == pytest.approx((left, top, right, bottom), abs=1.0)
        assert box[0] <= left <= right <= box[2]
        row, column = divmod(centroid - 1, 1920)
        assert box[0] <= column < box[2]
        assert box[1] <= row < box[3]
    assert klv_vmti.box_pixels((-5, -5, 5000, 5000), 1920, 1080)[1:] == (1, 1920 * 1080)
    assert Vmti().box_px(FULL.targets[0]) is None


def test_places_of_early_revisions_stay_bytes() -> None:
    early = b"\x04\x01\x03" + b"\x65\x07\x06\x01\x0a\x03\x01\x02\x03"
    vmti = klv_vmti.decode(early)
    assert vmti.targets[0].lat_offset_deg is None
    assert vmti.targets[0].other == ((10, b"\x01\x02\x03"),)
    assert klv_vmti.encode(vmti) == early


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x04\x01\x06\x65\x02\x05\x01", "item 101: offset 0: element of 5 bytes ends beyond"),
        (b"\x04\x01\x06\x65\x04\x03\x01\x04\x00", None),
        (b"\x04\x01\x06\x65\x06\x05\x01\x05\x02\x00\x00", "item 101: element 0: item 5 is 2 bytes, not 1"),
        (b"\x04\x01\x06\x65\x05\x04\x01\x11\x01\x00", "item 17 is 1 bytes, not 10 or 16 or 22"),
        (b"\x04\x01\x06\x65\x02\x01\xff", "no tag"),
        (b"\x04\x03\x00\x00\x06", "item 4 is 3 bytes"),
        (b"\x65\x83\x01\x00\x00", "ends beyond"),
    ],
)
def test_broken_sets_are_refused(data: bytes, why: str | None) -> None:
    if why is None:
        assert klv_vmti.decode(data).targets[0].other == ((4, b""),)
        return
    with pytest.raises(KlvInvalid, match=why):
        klv_vmti.decode(data)


def test_too_many_targets_are_refused() -> None:
    many = b"\x01\x05" * 1025
    with pytest.raises(KlvInvalid, match="more than 1024 elements"):
        klv_vmti.decode(b"\x04\x01\x06\x65\x82" + len(many).to_bytes(2, "big") + many)


@pytest.mark.parametrize(
    ("vmti", "why"),
    [
        (Vmti(targets=(Target(target_id=-1),)), "BER-OID"),
        (Vmti(targets=(Target(target_id=1, confidence_percent=256),)), "confidence_percent 256"),
        (Vmti(targets=(Target(target_id=1, place=vector_of((91.0, 0.0, 0.0))),)), "place 91"),
        (Vmti(targets=(Target(target_id=1, place=Vector(values=(1.0,))),)), "1 numbers where 3"),
        (Vmti(other=((4, b"\x01"),)), "item 4 cannot be among the other items"),
    ],
)
def test_what_no_item_can_hold_is_not_written(vmti: Vmti, why: str) -> None:
    with pytest.raises(KlvInvalid, match=why):
        klv_vmti.encode(vmti)


def test_a_packet_with_a_wrong_checksum_is_refused_unless_asked_for() -> None:
    data = klv_vmti.encode_packet(FULL)
    broken = data[:-1] + bytes((data[-1] ^ 1,))
    with pytest.raises(KlvInvalid, match="checksum"):
        klv_vmti.decode_packet(broken)
    assert klv_vmti.decode_packet(broken, verify=False) == klv_vmti.decode_packet(data)
    with pytest.raises(KlvInvalid, match="no checksum"):
        klv_vmti.decode_packet(klv_vmti.VMTI_KEY + b"\x03\x04\x01\x06")
