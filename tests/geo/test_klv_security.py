import os
from datetime import date
from pathlib import Path

import pytest
from stanag4609 import st0102

from geo import klv, klv_security
from geo.errors import KlvInvalid
from geo.klv_security import Classification, SecurityMarking

SHARED = Path(__file__).parents[2].parent / "shared"
CONSTANT = Path(os.environ.get("MC_JUDGES", SHARED / "judges")) / "klv" / "DynamicConstantMISMMSPacketData.bin"
FULL = SecurityMarking(
    classification=Classification.RESTRICTED,
    country_coding=2,
    classifying_country="//KAZ",
    compartments="A/B//",
    caveats="FOUO",
    releasing_instructions="KAZ KGZ",
    classified_by="the duty officer",
    derived_from="order 7",
    reason="people are seen",
    declassification_date="20400101",
    marking_system="city",
    object_country_coding=2,
    object_countries="KAZ;KGZ",
    comments="none",
    version=12,
    country_coding_date="2020-01-01",
    object_country_coding_date="2020-01-02",
    other=((99, b"\x01\x02"),),
)


def test_every_field_and_what_is_unknown_come_back() -> None:
    assert klv_security.decode(klv_security.encode(FULL)) == FULL


def test_the_judge_reads_what_is_written() -> None:
    known = {name: getattr(FULL, name) for name in FULL.__struct_fields__ if name != "other"}
    judge = st0102.decode_security_local_set(klv_security.encode(SecurityMarking(**known)), standalone=False)
    assert judge.value(1) == 2
    assert judge.value(3) == FULL.classifying_country
    assert judge.value(10) == date(2040, 1, 1)
    assert judge.value(13) == FULL.object_countries
    assert judge.value(22) == 12


@pytest.mark.skipif(not CONSTANT.exists(), reason=f"no packet by others at {CONSTANT}")
def test_a_marking_by_others_is_read_and_written_byte_for_byte() -> None:
    metadata = klv.decode(CONSTANT.read_bytes(), verify=False)
    assert metadata.security_set is not None
    marking = klv_security.decode(metadata.security_set)
    assert marking.classification == Classification.UNCLASSIFIED
    assert (marking.classifying_country, marking.object_countries, marking.version) == ("//USA", "USA", 10)
    assert klv_security.encode(marking) == metadata.security_set


def test_a_version_that_is_not_stated_is_none() -> None:
    assert klv_security.decode(b"\x01\x01\x01").version is None


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"\x01\x02\x01\x01", "security set: item 1 is 2 bytes, not 1"),
        (b"\x01\x01\x01\x01\x01\x01", "offset 3: item 1 stands twice"),
        (b"\x0d\x03\x00\x41\x00", "item 13 is not UTF-16"),
        (b"\x05\x01\xff", "item 5 is not UTF-8"),
        (b"\x05\x7f", "ends beyond"),
    ],
)
def test_broken_sets_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(KlvInvalid, match=why):
        klv_security.decode(data)
