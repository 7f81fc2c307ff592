"""Files of parameters from other ground stations are understood, or refused by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from fleet.autopilots import ArduCopter, Px4
from fleet.errors import ParameterFileInvalid
from fleet.parameter_files import lasting, read_parameters, write_parameters
from fleet.parameters import Parameter, Parameters, differences
from tests.fleet.conftest import Fly
from tests.fleet.responder import heard

QGC = """# Onboard parameters for Vehicle 1
#
# Vehicle-Id Component-Id Name Value Type
1\t1\tACRO_LOCKING\t0\t2
1\t1\tBAT_CRIT_THR\t0.070000000298023224\t9
1\t154\tMNT_RATE\t50\t9
"""


def test_the_files_of_others(tmp_path: Path) -> None:
    qgc, planner, proxy = tmp_path / "a.params", tmp_path / "b.param", tmp_path / "c.parm"
    qgc.write_text(QGC)
    planner.write_text("#NOTE: 1/1/2026\r\nACRO_LOCKING,0\r\nRTL_ALT,-1.5e3\r\n")
    proxy.write_text("ACRO_LOCKING     0.000000\nRTL_ALT          3000.000000 # as agreed\n\n")
    assert read_parameters(qgc) == {"ACRO_LOCKING": 0.0, "BAT_CRIT_THR": 0.070000000298023224}, "only the autopilot's"
    assert read_parameters(planner) == {"ACRO_LOCKING": 0.0, "RTL_ALT": -1500.0}
    assert read_parameters(proxy) == {"ACRO_LOCKING": 0.0, "RTL_ALT": 3000.0}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("RTL_ALT,1500\nRTL_ALT,1600\n", "line 2: RTL_ALT is there twice"),
        ("RTL_ALT,fast\n", "line 1: RTL_ALT is 'fast', which is no number"),
        ("\nRTL_ALT,nan\n", "line 2: RTL_ALT is 'nan'"),
        ("RTL_ALT\n", "line 1: has 1 columns"),
        ("A_NAME_OF_SEVENTEEN,1\n", "is no name of a parameter"),
        ("1 one RTL_ALT 5 9\n", "'one' is no component id"),
        ("# nothing\n", "has no parameters"),
    ],
)
def test_what_is_none_is_refused_by_line(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "bad.param"
    path.write_text(text)
    with pytest.raises(ParameterFileInvalid, match=words):
        read_parameters(path)


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    with pytest.raises(ParameterFileInvalid, match="cannot be read"):
        read_parameters(tmp_path / "none.param")
    with pytest.raises(ParameterFileInvalid, match="cannot be written"):
        write_parameters(tmp_path / "none" / "a.params", [], sysid=1)


async def test_a_vehicle_is_registered_as_it_is_and_found_unchanged(port: int, simulated: Fly, tmp_path: Path) -> None:
    """Through a file, and after the autopilot has counted and the mission chosen its failsafe; then one is changed."""
    simulated(port)
    autopilot, path = ArduCopter(), tmp_path / "copter.params"
    passing = (*autopilot.passing_parameters, *autopilot.lost_link.names) if autopilot.lost_link else ()
    async with heard(port) as vehicle:
        parameters = Parameters(vehicle.channel, integers_as_bytes=False)
        first = await parameters.read_all()
        write_parameters(path, first.values(), sysid=1)
        held = read_parameters(path)
        assert list(held) == list(first)
        registered = lasting(first, passing)
        assert 200 < len(registered) < len(first)
        for name, value in (("STAT_RUNTIME", 30.0), ("FS_GCS_ENABLE", 5.0), ("MIS_TOTAL", 12.0)):
            await parameters.write(name, value)
        assert differences(registered, await parameters.read_all()) == ()
        assert {found.name for found in differences(held, await parameters.read_all())} == {
            "STAT_RUNTIME", "FS_GCS_ENABLE", "MIS_TOTAL",
        }  # fmt: skip
        await parameters.write("RTL_ALT", 3000.0)
        assert [found.name for found in differences(registered, await parameters.read_all())] == ["RTL_ALT"]


def test_what_an_autopilot_writes_itself_is_not_held_against_it() -> None:
    """Unasked values as recorded."""
    ardupilot = "BARO2_GND_PRESS FENCE_TOTAL INS_GYR1_CALTEMP INS_GYR2OFFS_X INS_GYROFFS_Z MIS_TOTAL STAT_FLTTIME"
    px4 = "COM_FLIGHT_UUID LND_FLIGHT_T_LO EKF2_MAG_DECL CAL_ACC0_XOFF CAL_BARO0_OFF"
    for autopilot, names, kept in ((ArduCopter(), ardupilot, "RTL_ALT"), (Px4(), px4, "CAL_MAG0_ID")):
        aboard = {name: Parameter(name=name, value=1.0, kind=9) for name in (*names.split(), kept)}
        assert list(lasting(aboard, autopilot.passing_parameters)) == [kept]
